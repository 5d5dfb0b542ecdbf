#include "support/process.h"

#include <doctest/doctest.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <vector>

#include "support/wait.h"

namespace dice::test {
namespace {

/// Without moving the offset, which the writer shares.
std::size_t size_of(int descriptor) {
  struct stat info{};
  return ::fstat(descriptor, &info) == 0 ? static_cast<std::size_t>(info.st_size) : 0;
}

}  // namespace

Process::Process(const std::string& program, const std::map<std::string, std::string>& variables, int descriptors)
    : output_(memfd_create("output", MFD_CLOEXEC)) {
  std::vector<std::string> environment = {"PATH=/usr/bin:/bin"};
  for (const auto& [name, value] : variables) environment.push_back(name + "=" + value);
  for (const char* name : {"TSAN_OPTIONS", "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) environment.push_back(std::string(name) + "=" + value);
  }
  std::vector<char*> pointers;
  for (auto& variable : environment) pointers.push_back(variable.data());
  pointers.push_back(nullptr);

  const auto path = std::string(DICE_BIN_DIR) + "/" + program;
  // A shell can set what posix_spawn can't.
  const auto command = (descriptors > 0 ? "ulimit -n " + std::to_string(descriptors) + " && " : "") + "exec " + path;
  std::vector<std::string> words = {path};
  if (descriptors > 0 || program.contains(' ')) words = {"/bin/sh", "-c", command};
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output_, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output_, STDERR_FILENO);
  REQUIRE(posix_spawn(&pid_, words[0].c_str(), &actions, nullptr, arguments.data(), pointers.data()) == 0);
  posix_spawn_file_actions_destroy(&actions);
}

Process::~Process() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  ::close(output_);
}

void Process::signal(int number) const { ::kill(pid_, number); }

int Process::wait() {
  int status = 0;
  if (!eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; })) return -1;
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string Process::output() const {
  std::string text(size_of(output_), '\0');
  const auto size = ::pread(output_, text.data(), text.size(), 0);
  text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  return text;
}

Process::Ports Process::ports() const {
  Ports ports;
  const auto number = [](const std::string& text, const std::string& key) {
    const auto at = text.find("\"" + key + "\":");
    return at == std::string::npos ? 0 : std::stoi(text.substr(at + key.size() + 3));
  };
  const bool listening = eventually([&] {
    const auto text = output();
    const auto line = text.find("\"Listening\"");
    if (line == std::string::npos || text.find('\n', line) == std::string::npos) return false;
    ports = {number(text.substr(line), "port"), number(text.substr(line), "metrics_port")};
    return true;
  });
  REQUIRE_MESSAGE(listening, output());
  return ports;
}

}  // namespace dice::test
