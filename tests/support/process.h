// One of our programs as a process.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>

namespace dice::test {

/// Ends the process when destroyed.
class Process {
 public:
  /// `program` is the name of one of our programs, optionally followed by arguments. The environment is `variables` and
  /// PATH. `descriptors` is the maximum number of open descriptors; 0 = the current limit.
  Process(const std::string& program, const std::map<std::string, std::string>& variables, int descriptors = 0);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void signal(int number) const;
  /// Waits for the exit code: 128 + the signal if one ended it, or -1 if it is still running after twenty seconds.
  int wait();
  /// Its standard output and standard error so far.
  std::string output() const;
  /// Waits for the log line with the ports.
  struct Ports {
    int main = 0;
    int metrics = 0;
  };
  Ports ports() const;

 private:
  int output_;
  pid_t pid_ = -1;
};

}  // namespace dice::test
