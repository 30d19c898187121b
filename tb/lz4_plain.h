// Stands in for lz4.h where the system has none, so that FST files can be written: valid LZ4 blocks, all of it
// literals. Files come out larger, readers do not notice.
#pragma once
#include <cstring>

static inline int LZ4_compressBound(int size) { return size + size / 255 + 16; }

static inline int LZ4_compress_default(const char* from, char* to, int size, int room) {
    if (room < LZ4_compressBound(size)) return 0;
    char* at = to;
    if (size < 15) {
        *at++ = static_cast<char>(size << 4);
    } else {
        *at++ = static_cast<char>(15 << 4);
        int rest = size - 15;
        for (; rest >= 255; rest -= 255) *at++ = static_cast<char>(255);
        *at++ = static_cast<char>(rest);
    }
    std::memcpy(at, from, size);
    return static_cast<int>(at - to) + size;
}
