// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lb::metrics {

enum class Type : uint8_t { kCounter, kGauge, kHistogram };

// Every metric that lbd exports, by the naming rules of Prometheus.
// X(identifier, name, type, labels, help); labels in the order in which samples give them.
// clang-format off
#define LBD_METRICS(X)                                                                             \
  X(kBuildInfo, "lbd_build_info", kGauge, "version,kernel", "Always 1; labels say what runs.")     \
  X(kGeneration, "lbd_config_generation", kGauge, "",                                              \
    "Generation of the configuration in force; grows with every change, 0 is none.")               \
  X(kApplied, "lbd_config_applied_timestamp_seconds", kGauge, "",                                  \
    "When the configuration in force was applied, Unix time.")                                     \
  X(kUnconfirmed, "lbd_config_unconfirmed", kGauge, "",                                            \
    "1: the configuration in force is taken back soon unless it is confirmed.")                    \
  X(kWarnings, "lbd_warnings", kGauge, "", "Sentences under warnings in lbctl status.")            \
  X(kVerdictPackets, "lbd_verdict_packets_total", kCounter, "verdict,action",                      \
    "Packets by verdict; every packet that the program sees has exactly one.")                     \
  X(kNotePackets, "lbd_note_packets_total", kCounter, "note",                                      \
    "Packets worth counting besides their verdict, such as those routed by a server id.")          \
  X(kCpuPackets, "lbd_cpu_packets_total", kCounter, "cpu", "Packets by the CPU that handled them.") \
  X(kVipPackets, "lbd_vip_packets_total", kCounter, "vip,route,name",                                    \
    "Packets forwarded, those of reals that are gone included.")                                   \
  X(kVipBytes, "lbd_vip_bytes_total", kCounter, "vip,route,name", "Bytes forwarded, inner IP packets.")  \
  X(kVipConnections, "lbd_vip_connections_total", kCounter, "vip,route,name",                            \
    "New TCP connections: SYN packets forwarded, retransmitted ones included.")                    \
  X(kVipDropped, "lbd_vip_dropped_packets_total", kCounter, "vip,route,name",                            \
    "Packets that reached the VIP and were dropped, for whatever reason, those of its reals "      \
    "included.")                                                                                   \
  X(kVipRefused, "lbd_vip_refused_packets_total", kCounter, "vip,name,reason",                     \
    "Packets refused by the source policy: denied, limited (VIP) or source_limited (client).")     \
  X(kVipReals, "lbd_vip_reals", kGauge, "vip,route,name,state", "Configured reals by wanted state.")     \
  X(kVipServing, "lbd_vip_serving_reals", kGauge, "vip,route,name",                                      \
    "Reals that have slots of the ring and a next hop; 0: the VIP is down.")                       \
  X(kVipSlots, "lbd_vip_slots", kGauge, "vip,route,name,state",                                          \
    "Slots of the ring: stable, changing hands, or settling after it.")                            \
  X(kVipFlows, "lbd_vip_tracked_flows", kGauge, "vip,route,name", "Flows in the flow table.")            \
  X(kVipFlowCapacity, "lbd_vip_tracked_flows_capacity", kGauge, "vip,route,name",                        \
    "Room in the VIP's part of the flow table; 0: it has none now.")                               \
  X(kRealPackets, "lbd_real_packets_total", kCounter, "vip,route,real", "Packets forwarded to a real.")  \
  X(kRealBytes, "lbd_real_bytes_total", kCounter, "vip,route,real",                                      \
    "Bytes forwarded to a real, inner IP packets.")                                                \
  X(kRealConnections, "lbd_real_connections_total", kCounter, "vip,route,real",                          \
    "New TCP connections: SYN packets forwarded to a real, retransmitted ones included.")          \
  X(kRealDropped, "lbd_real_dropped_packets_total", kCounter, "vip,route,real",                          \
    "Packets for a real that were dropped: no next hop, too big, and the like.")                   \
  X(kRealSlots, "lbd_real_slots", kGauge, "vip,route,real", "Slots of the ring that lead to a real.")    \
  X(kRealFlows, "lbd_real_tracked_flows", kGauge, "vip,route,real", "Tracked flows of a real.")          \
  X(kProbing, "lbd_probing", kGauge, "mode",                                                       \
    "1: reals are probed; 0: health is none, no VIP has checks, or no socket works.")              \
  X(kVipHealthy, "lbd_vip_healthy_reals", kGauge, "vip,route,name",                                \
    "Reals that are up and wanted: active or standby, of positive weight.")                        \
  X(kVipMinHealthy, "lbd_vip_min_healthy_reals", kGauge, "vip,route,name",                         \
    "Healthy reals that the VIP needs.")                                                           \
  X(kVipFailedOpen, "lbd_vip_failed_open", kGauge, "vip,route,name",                               \
    "1: too few reals are healthy, and all active ones get traffic.")                              \
  X(kVipUnknown, "lbd_vip_unknown_reals", kGauge, "vip,name",                                      \
    "Reals whose checks have said nothing yet: they get no traffic.")                              \
  X(kRealUp, "lbd_real_up", kGauge, "vip,real",                                                    \
    "1: up, by its checks or an operator, or not checked; 0: down, or not known yet.")             \
  X(kRealOverridden, "lbd_real_health_overridden", kGauge, "vip,real",                             \
    "1: an operator has set the health of a real, whatever its checks say.")                       \
  X(kCheckUp, "lbd_check_up", kGauge, "vip,real,check,port",                                       \
    "1: the check finds the real up; 0: down; no sample: not known yet. A VIP's second check of "  \
    "one kind and port is KIND-2.")                                                                \
  X(kCheckBlind, "lbd_check_blind", kGauge, "vip,real,check,port",                                 \
    "1: the check can say nothing for a reason on this host, and the state stays as it was.")      \
  X(kCheckLatency, "lbd_check_latency_seconds", kGauge, "vip,real,check,port",                     \
    "How long the check's last successful probe took; no sample while the check is not up.")       \
  X(kTransitions, "lbd_health_transitions_total", kCounter, "",                                    \
    "How often reals went up or down by their checks.")                                            \
  X(kProbesStarted, "lbd_probes_started_total", kCounter, "", "Probes that were begun.")           \
  X(kProbeResults, "lbd_probe_results_total", kCounter, "result",                                  \
    "Probes by what they found.")                                                                  \
  X(kProbesFrozen, "lbd_probes_frozen_total", kCounter, "",                                        \
    "Time-outs that are no verdict, because the trouble was on this host.")                        \
  X(kProbesDelayed, "lbd_probes_delayed_total", kCounter, "",                                      \
    "Starts and segments of probes for which there was no room at once.")                          \
  X(kProbeFrames, "lbd_probe_stray_frames_total", kCounter, "reason",                              \
    "Frames for probes that decided nothing: malformed, rejected (forged or stale) or late.")      \
  X(kProbeResets, "lbd_probe_resets_total", kCounter, "", "RSTs in answer to stray segments.")     \
  X(kProbesInFlight, "lbd_probes_in_flight", kGauge, "", "Probes under way.")                      \
  X(kProbeSeconds, "lbd_probe_duration_seconds", kHistogram, "",                                   \
    "How long successful probes took.")                                                            \
  X(kReactionSeconds, "lbd_health_reaction_seconds", kHistogram, "",                               \
    "From the answer or time-out that decides about a real until the rings in force follow.")      \
  X(kSocketQueues, "lbd_probe_socket_queues", kGauge, "interface,mode",                            \
    "Receive queues of an interface, each with an AF_XDP socket for probes; by copy or zero_copy.") \
  X(kSocketProblem, "lbd_probe_socket_problem", kGauge, "interface",                               \
    "1: no probe can use the interface; lbctl health says why.")                                   \
  X(kSocketTested, "lbd_probe_socket_tested", kGauge, "interface",                                 \
    "1: the XDP program was seen to hand answers on every queue over.")                            \
  X(kSocketDropped, "lbd_probe_socket_dropped_frames_total", kCounter, "interface,reason",         \
    "Frames that the sockets lost: rx_ring_full, fill_ring_empty, tx_invalid, rx_other.")          \
  X(kFlowEvents, "lbd_flow_table_events_total", kCounter, "event",                                 \
    "Flows recorded (insert), for which the oldest went (evict), and without room (refuse).")      \
  X(kNextHopResolved, "lbd_next_hop_resolved", kGauge, "real",                                     \
    "1: the neighbour that leads to a real is known; 0: its packets are dropped.")                 \
  X(kInterfaceAttached, "lbd_interface_attached", kGauge, "interface,mode",                        \
    "1: the XDP program is attached, in this mode.")                                               \
  X(kInterfaceUp, "lbd_interface_up", kGauge, "interface", "1: up, with a carrier.")               \
  X(kProgramRuns, "lbd_program_runs_total", kCounter, "",                                          \
    "Runs of the XDP program while the kernel keeps statistics (--bpf_run_time).")                 \
  X(kProgramSeconds, "lbd_program_run_seconds_total", kCounter, "",                                \
    "CPU time in the XDP program while the kernel keeps statistics (--bpf_run_time).")             \
  X(kMapBytes, "lbd_map_bytes", kGauge, "map", "Kernel memory of a BPF map.")                      \
  X(kRpcSeconds, "lbd_rpc_duration_seconds", kHistogram, "method,code",                            \
    "How long calls of the gRPC API took.")                                                        \
  X(kScrapeSeconds, "lbd_scrape_duration_seconds", kGauge, "",                                     \
    "How long it took to collect these metrics.")                                                  \
  X(kProcessStart, "process_start_time_seconds", kGauge, "", "Start of the process, Unix time.")   \
  X(kProcessCpu, "process_cpu_seconds_total", kCounter, "", "User and system CPU time.")           \
  X(kProcessResident, "process_resident_memory_bytes", kGauge, "", "Resident memory.")             \
  X(kProcessFds, "process_open_fds", kGauge, "", "Open file descriptors.")
// clang-format on

enum class Metric : uint8_t {
#define LBD_METRIC_ENUM(identifier, name, type, labels, help) identifier,
  LBD_METRICS(LBD_METRIC_ENUM)
#undef LBD_METRIC_ENUM
};

struct Row {
  std::string_view name;
  Type type;
  std::string_view labels;  // "vip,route,real"
  std::string_view help;
};

inline constexpr Row kCatalogue[] = {
#define LBD_METRIC_ROW(identifier, name, type, labels, help) {name, Type::type, labels, help},
    LBD_METRICS(LBD_METRIC_ROW)
#undef LBD_METRIC_ROW
};

constexpr const Row& RowOf(Metric metric) { return kCatalogue[static_cast<size_t>(metric)]; }

}  // namespace lb::metrics
