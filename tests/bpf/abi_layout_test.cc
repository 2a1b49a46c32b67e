// SPDX-License-Identifier: Apache-2.0
// lb/abi.h as clang compiled it for the kernel and as g++ compiles it here: the same bytes.
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lb/abi.h"
#include "lb_xdp.skel.h"

namespace lb::testing {
namespace {

struct Field {
  std::string name;
  size_t offset;
  size_t size;

  bool operator==(const Field&) const = default;
};

void PrintTo(const Field& field, std::ostream* out) {
  *out << field.name << " at " << field.offset << ", " << field.size << " bytes";
}

struct Layout {
  std::string name;
  size_t size;
  std::vector<Field> fields;  // all of them
};

#define LB_FIELD(type, field) \
  Field { #field, offsetof(type, field), sizeof(type::field) }

std::vector<Layout> LayoutsHere() {
  return {
      {"lb_vip",
       sizeof(lb_vip),
       {LB_FIELD(lb_vip, address), LB_FIELD(lb_vip, port_be), LB_FIELD(lb_vip, protocol),
        LB_FIELD(lb_vip, flags), LB_FIELD(lb_vip, options), LB_FIELD(lb_vip, policy),
        LB_FIELD(lb_vip, place), LB_FIELD(lb_vip, hash_k0), LB_FIELD(lb_vip, hash_k1),
        LB_FIELD(lb_vip, flows), LB_FIELD(lb_vip, last_port_be), LB_FIELD(lb_vip, host_bits),
        LB_FIELD(lb_vip, both_protocols), LB_FIELD(lb_vip, id_config), LB_FIELD(lb_vip, route)}},
      {"lb_scope_key",
       sizeof(lb_scope_key),
       {LB_FIELD(lb_scope_key, prefix_length), LB_FIELD(lb_scope_key, protocol),
        LB_FIELD(lb_scope_key, address)}},
      {"lb_scope", sizeof(lb_scope), {LB_FIELD(lb_scope, first_rule), LB_FIELD(lb_scope, rules)}},
      {"lb_port_rule",
       sizeof(lb_port_rule),
       {LB_FIELD(lb_port_rule, first_port), LB_FIELD(lb_port_rule, last_port),
        LB_FIELD(lb_port_rule, vip)}},
      {"lb_id_config",
       sizeof(lb_id_config),
       {LB_FIELD(lb_id_config, start), LB_FIELD(lb_id_config, bits), LB_FIELD(lb_id_config, seed),
        LB_FIELD(lb_id_config, sources), LB_FIELD(lb_id_config, reserved0),
        LB_FIELD(lb_id_config, skip), LB_FIELD(lb_id_config, width),
        LB_FIELD(lb_id_config, reserved1)}},
      {"lb_server_id_bucket",
       sizeof(lb_server_id_bucket),
       {LB_FIELD(lb_server_id_bucket, entries)}},
      {"lb_real",
       sizeof(lb_real),
       {LB_FIELD(lb_real, address), LB_FIELD(lb_real, checksum), LB_FIELD(lb_real, next_hop),
        LB_FIELD(lb_real, flags), LB_FIELD(lb_real, reserved)}},
      {"lb_next_hop",
       sizeof(lb_next_hop),
       {LB_FIELD(lb_next_hop, destination), LB_FIELD(lb_next_hop, source),
        LB_FIELD(lb_next_hop, ifindex), LB_FIELD(lb_next_hop, mtu),
        LB_FIELD(lb_next_hop, reserved)}},
      {"lb_counter",
       sizeof(lb_counter),
       {LB_FIELD(lb_counter, packets), LB_FIELD(lb_counter, bytes)}},
      {"lb_fragment_key",
       sizeof(lb_fragment_key),
       {LB_FIELD(lb_fragment_key, source), LB_FIELD(lb_fragment_key, destination),
        LB_FIELD(lb_fragment_key, id), LB_FIELD(lb_fragment_key, protocol)}},
      {"lb_fragment",
       sizeof(lb_fragment),
       {LB_FIELD(lb_fragment, ports), LB_FIELD(lb_fragment, protocol),
        LB_FIELD(lb_fragment, seen)}},
      {"lb_scratch", sizeof(lb_scratch), {LB_FIELD(lb_scratch, words)}},
      {"lb_probe_interface",
       sizeof(lb_probe_interface),
       {LB_FIELD(lb_probe_interface, ifindex), LB_FIELD(lb_probe_interface, sockets)}},
      {"lb_probe",
       sizeof(lb_probe),
       {LB_FIELD(lb_probe, source_v4), LB_FIELD(lb_probe, source_v6),
        LB_FIELD(lb_probe, first_port), LB_FIELD(lb_probe, last_port), LB_FIELD(lb_probe, reserved),
        LB_FIELD(lb_probe, interfaces)}},
      {"lb_flow_bucket", sizeof(lb_flow_bucket), {LB_FIELD(lb_flow_bucket, entries)}},
      {"lb_handover",
       sizeof(lb_handover),
       {LB_FIELD(lb_handover, version), LB_FIELD(lb_handover, config_fast_hash),
        LB_FIELD(lb_handover, real_size), LB_FIELD(lb_handover, real_address),
        LB_FIELD(lb_handover, bucket_size), LB_FIELD(lb_handover, bucket_entries),
        LB_FIELD(lb_handover, vip_size),
#define LB_VIP_FIELD(field) LB_FIELD(lb_handover, vip_##field),
        LB_HANDOVER_VIP_FIELDS(LB_VIP_FIELD)
#undef LB_VIP_FIELD
            LB_FIELD(lb_handover, reserved)}},
      {"lb_config",
       sizeof(lb_config),
       {LB_FIELD(lb_config, handover),          LB_FIELD(lb_config, vip_mask),
        LB_FIELD(lb_config, real_mask),         LB_FIELD(lb_config, ring_mask),
        LB_FIELD(lb_config, next_hop_mask),     LB_FIELD(lb_config, counter_mask),
        LB_FIELD(lb_config, verdict_mask),      LB_FIELD(lb_config, cpu_mask),
        LB_FIELD(lb_config, real_bits),         LB_FIELD(lb_config, vip_hash_key),
        LB_FIELD(lb_config, source_v4),         LB_FIELD(lb_config, source_v4_hash_mask),
        LB_FIELD(lb_config, source_v6),         LB_FIELD(lb_config, source_v6_hash_mask),
        LB_FIELD(lb_config, flow_mask),         LB_FIELD(lb_config, reserved),
        LB_FIELD(lb_config, fast_hash),         LB_FIELD(lb_config, stages),
        LB_FIELD(lb_config, features),          LB_FIELD(lb_config, id_config_mask),
        LB_FIELD(lb_config, server_id_mask),    LB_FIELD(lb_config, wide_vip_mask),
        LB_FIELD(lb_config, port_rule_mask),    LB_FIELD(lb_config, gue_port_be),
        LB_FIELD(lb_config, decap_port_be),     LB_FIELD(lb_config, policy_mask),
        LB_FIELD(lb_config, policy_count_mask), LB_FIELD(lb_config, source_bucket_mask),
        LB_FIELD(lb_config, fragments),         LB_FIELD(lb_config, icmp_interval)}},
      {"lb_policy",
       sizeof(lb_policy),
       {LB_FIELD(lb_policy, flags), LB_FIELD(lb_policy, reserved0), LB_FIELD(lb_policy, interval),
        LB_FIELD(lb_policy, tolerance), LB_FIELD(lb_policy, source_interval),
        LB_FIELD(lb_policy, source_tolerance), LB_FIELD(lb_policy, reserved1),
        LB_FIELD(lb_policy, due), LB_FIELD(lb_policy, reserved2)}},
      {"lb_policy_count",
       sizeof(lb_policy_count),
       {LB_FIELD(lb_policy_count, denied), LB_FIELD(lb_policy_count, limited),
        LB_FIELD(lb_policy_count, source_limited), LB_FIELD(lb_policy_count, reserved)}},
      {"lb_source_key",
       sizeof(lb_source_key),
       {LB_FIELD(lb_source_key, prefix_length), LB_FIELD(lb_source_key, policy),
        LB_FIELD(lb_source_key, address)}},
      {"lb_source_bucket", sizeof(lb_source_bucket), {LB_FIELD(lb_source_bucket, entries)}},
  };
}

// The BTF of the object that is shipped inside the skeleton.
class AbiLayoutTest : public ::testing::Test {
 protected:
  void SetUp() override {
    size_t size = 0;
    const void* elf = lb_xdp_bpf::elf_bytes(&size);
    object_.reset(bpf_object__open_mem(elf, size, nullptr));
    ASSERT_NE(object_, nullptr);
    btf_ = bpf_object__btf(object_.get());
    ASSERT_NE(btf_, nullptr);
  }

  const btf_type* Find(const std::string& name, uint32_t kind) const {
    const int id = btf__find_by_name_kind(btf_, name.c_str(), kind);
    return id < 0 ? nullptr : btf__type_by_id(btf_, id);
  }

  struct CloseObject {
    void operator()(bpf_object* object) const { bpf_object__close(object); }
  };
  std::unique_ptr<bpf_object, CloseObject> object_;
  const btf* btf_ = nullptr;
};

TEST_F(AbiLayoutTest, EveryStructHasTheSameSizeAndMembersInTheKernel) {
  for (const Layout& here : LayoutsHere()) {
    SCOPED_TRACE(here.name);
    const btf_type* type = Find(here.name, BTF_KIND_STRUCT);
    ASSERT_NE(type, nullptr);
    EXPECT_EQ(type->size, here.size);
    std::vector<Field> fields;
    for (int i = 0; i < btf_vlen(type); ++i) {
      const btf_member& member = btf_members(type)[i];
      EXPECT_EQ(btf_member_bitfield_size(type, i), 0u);
      fields.push_back({btf__name_by_offset(btf_, member.name_off),
                        btf_member_bit_offset(type, i) / 8,
                        static_cast<size_t>(btf__resolve_size(btf_, member.type))});
    }
    EXPECT_EQ(fields, here.fields);
  }
}

// A struct of abi.h that LayoutsHere() forgot. All its names begin with lb_, and so do the maps.
TEST_F(AbiLayoutTest, NoStructOfTheContractIsLeftOut) {
  std::vector<std::string> known = {"lb_sip"};  // of flow_hash.h, never in a map
  for (const Layout& layout : LayoutsHere()) known.push_back(layout.name);
  for (uint32_t id = 1; id < btf__type_cnt(btf_); ++id) {
    const btf_type* type = btf__type_by_id(btf_, id);
    const std::string name = btf__name_by_offset(btf_, type->name_off);
    if (!btf_is_struct(type) || !name.starts_with("lb_")) continue;
    EXPECT_GT(std::ranges::count(known, name), 0) << name;
  }
}

TEST_F(AbiLayoutTest, TheConstantsAreNothingButTheConfig) {
  const bpf_map* rodata = bpf_object__find_map_by_name(object_.get(), ".rodata");
  ASSERT_NE(rodata, nullptr);
  EXPECT_EQ(bpf_map__value_size(rodata), sizeof(lb_config));
}

TEST_F(AbiLayoutTest, TheTablesHoldTheStructsOfTheContract) {
  const std::map<std::string, size_t> elements = {
      {"lb_vips", sizeof(lb_vip)},
      {"lb_ring", sizeof(uint16_t)},
      {"lb_ring_next", sizeof(uint16_t)},
      {"lb_refused", sizeof(uint8_t)},
      {"lb_flows", sizeof(lb_flow_bucket)},
      {"lb_reals", sizeof(lb_real)},
      {"lb_next_hops", sizeof(lb_next_hop)},
      {"lb_counters", sizeof(lb_counter)},
      {"lb_connections", sizeof(uint64_t)},
      {"lb_drops", sizeof(uint64_t)},
      {"lb_verdicts", sizeof(uint64_t)},
      {"lb_id_configs", sizeof(lb_id_config)},
      {"lb_server_ids", sizeof(lb_server_id_bucket)},
      {"lb_wide_vips", sizeof(lb_vip)},
      {"lb_port_rules", sizeof(lb_port_rule)},
      {"lb_scopes", sizeof(lb_scope)},
      {"lb_policies", sizeof(lb_policy)},
      {"lb_policy_counts", sizeof(lb_policy_count)},
      {"lb_source_buckets", sizeof(lb_source_bucket)},
      {"lb_sources", sizeof(uint32_t)},
      {"lb_icmp_due", sizeof(uint64_t)},
      {"lb_fragments", sizeof(lb_fragment)},
      {"lb_ports", sizeof(uint32_t)},
      {"lb_scratch", sizeof(lb_scratch)},
      {"lb_probe", sizeof(lb_probe)},
      {"lb_probe_sockets", sizeof(uint32_t)},
  };
  std::map<std::string, size_t> there;
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object_.get()) {
    if (!bpf_map__is_internal(map)) there[bpf_map__name(map)] = bpf_map__value_size(map);
  }
  EXPECT_EQ(there, elements);
}

}  // namespace
}  // namespace lb::testing
