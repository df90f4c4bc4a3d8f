// What the operating system says about this process and about a directory.
#ifndef SLIPSTREAM_TESTS_BENCH_PROCESS_FIGURES_H_
#define SLIPSTREAM_TESTS_BENCH_PROCESS_FIGURES_H_

#include <cstdint>
#include <string>

namespace slipstream::bench {

struct ProcessFigures {
  uint64_t resident_bytes = 0;       // Now; pages of mapped files too.
  uint64_t anonymous_bytes = 0;      // Of these, those of no file: heap and stacks.
  uint64_t peak_resident_bytes = 0;  // The most so far.
  uint64_t device_read_bytes = 0;    // What the process had to have read from a device so far.
};
ProcessFigures FiguresOfThisProcess();

// Bytes that the files below `directory` occupy: blocks, not lengths, as files may have holes.
uint64_t DiskBytesOf(const std::string& directory);

}  // namespace slipstream::bench

#endif  // SLIPSTREAM_TESTS_BENCH_PROCESS_FIGURES_H_
