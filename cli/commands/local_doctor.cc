// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/local_doctor.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "cli/client.h"
#include "cli/program.h"
#include "lbd/config/document.h"

namespace lb::cli {
namespace {

namespace fs = std::filesystem;

v1::DoctorResponse NotExamined(const std::string& why, const std::string& fix) {
  v1::DoctorResponse response;
  v1::Finding& finding = *response.add_findings();
  finding.set_check("host");
  finding.set_level(v1::Finding::LEVEL_WARN);
  finding.set_message("not examined: " + why);
  finding.set_fix(fix);
  return response;
}

}  // namespace

std::string FindLbd() {
  std::error_code error;
  const fs::path here = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const fs::path& place : {here / "lbd", here.parent_path() / "sbin/lbd"}) {
    if (access(place.c_str(), X_OK) == 0) return place;
  }
  return "lbd";
}

std::vector<std::string> FlagsOfUnit(std::string_view exec_start) {
  // { path=/usr/sbin/lbd ; argv[]=/usr/sbin/lbd --config=/etc/lbd/lbd.yaml ; ignore_errors=no ; ...
  constexpr std::string_view kBegin = "argv[]=";
  const size_t begin = exec_start.find(kBegin);
  if (begin == std::string_view::npos) return {};
  exec_start.remove_prefix(begin + kBegin.size());
  std::istringstream words{std::string(exec_start.substr(0, exec_start.find(" ; ")))};
  std::vector<std::string> flags;
  std::string word;
  words >> word;  // the program
  while (words >> word) flags.push_back(word);
  return flags;
}

v1::DoctorResponse ExamineHere(const std::string& lbd, const std::string& server,
                               std::vector<std::string> flags) {
  if (geteuid() != 0) return NotExamined("that takes root", "sudo lbctl doctor");
  if (flags.empty() && server != kDefaultServer) {
    return NotExamined("the flags of that lbd are not known",
                       fmt::format("lbctl --server {} doctor -- FLAGS", server));
  }
  if (flags.empty()) {
    flags = FlagsOfUnit(RunProgram({"systemctl", "show", "--property=ExecStart", "--value", "lbd"},
                                   Errors::kDropped)
                            .output);
  }
  std::vector<std::string> words = {lbd, "--doctor", "--output=json"};
  words.insert(words.end(), flags.begin(), flags.end());
  const Ran ran = RunProgram(words, Errors::kDropped);
  v1::DoctorResponse response;
  if (!config::ParseDocument(ran.output, "lbd --doctor", response).ok()) {
    return NotExamined(fmt::format("{} --doctor does not work here", lbd),
                       "install lbd and lbctl of the same version");
  }
  return response;
}

}  // namespace lb::cli
