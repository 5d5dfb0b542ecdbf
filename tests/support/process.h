// A program of ours as a process of its own.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>

namespace dice::test {

/// Ended, if it still runs, when destroyed.
class Process {
 public:
  /// `program` is a name in the folder of the programs, with its arguments after it, if any. The environment is
  /// `variables` and PATH. `descriptors` may be open in it; 0 = as many as here.
  Process(const std::string& program, const std::map<std::string, std::string>& variables, int descriptors = 0);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void signal(int number) const;
  /// The exit code, 128 + the signal that ended it, or -1 when it has not ended after twenty seconds.
  int wait();
  /// What it has written to standard output and standard error so far.
  std::string output() const;
  /// Waits for the line that tells the ports.
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
