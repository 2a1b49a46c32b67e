// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <string>

namespace lb {

// What the command line says. Everything about the service itself is in the configuration document.
struct Options {
  std::string config_file;    // empty: none
  bool config_authoritative;  // the file is applied at each start, not only to begin with
  std::string listen;         // "unix:/run/lbd/lbd.sock"
  std::string pin_path;       // a directory on a bpffs
  std::string state_path;     // a directory; empty: revisions are not kept
  bool keep_sys_admin;        // CAP_SYS_ADMIN, for attach: dispatcher

  std::string metrics_listen;  // "127.0.0.1:9188"; empty: nowhere
  bool bpf_run_time;           // measure the XDP program

  std::string socket_group;  // may connect to the Unix socket; may be a group that does not exist
  std::string admin_group;   // of those, who may do what
  std::string operator_group;
  std::string audit_log;  // empty: the log

  std::string listen_tcp;  // empty: no TCP
  bool insecure;           // TCP on loopback without TLS
  std::string tls_cert, tls_key, tls_client_ca;
  std::set<std::string> tls_admins, tls_operators;
};

}  // namespace lb
