#include "base/coding.h"

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace slipstream::base {
namespace {

TEST(CodingTest, StoresLowestByteFirst) {
  std::string bytes(8, '\0');
  StoreLittle<uint64_t>(0x0102030405060708, bytes.data());
  EXPECT_EQ(bytes, std::string("\x08\x07\x06\x05\x04\x03\x02\x01"));
  EXPECT_EQ(LoadLittle<uint64_t>(bytes.data()), 0x0102030405060708u);
  EXPECT_EQ(LoadLittle<uint16_t>(bytes.data()), 0x0708u);
}

TEST(CodingTest, StoresHighestByteFirst) {
  std::string bytes(8, '\0');
  StoreBig64(0x0102030405060708, bytes.data());
  EXPECT_EQ(bytes, std::string("\x01\x02\x03\x04\x05\x06\x07\x08"));
  EXPECT_EQ(LoadBig64(bytes.data()), 0x0102030405060708u);
}

TEST(ByteReaderTest, ReadsFieldsInOrder) {
  ByteReader reader(absl::string_view("\x01\x02\x03rest", 7));
  EXPECT_EQ(reader.ReadLittle<uint8_t>(), 1);
  EXPECT_EQ(reader.ReadLittle<uint16_t>(), 0x0302);
  EXPECT_EQ(reader.ReadBytes(4), "rest");
  EXPECT_EQ(reader.remaining(), 0u);
  EXPECT_TRUE(reader.ok());
}

TEST(ByteReaderTest, StaysFailedAfterAReadPastTheEnd) {
  ByteReader reader("abc");
  EXPECT_EQ(reader.ReadLittle<uint32_t>(), 0u);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.ReadLittle<uint8_t>(), 0u);
  EXPECT_EQ(reader.remaining(), 0u);
  EXPECT_FALSE(reader.ok());
}

TEST(ByteReaderTest, ReadsNothingFromNothing) {
  ByteReader reader("");
  EXPECT_EQ(reader.ReadBytes(0), "");
  EXPECT_TRUE(reader.ok());
}

}  // namespace
}  // namespace slipstream::base
