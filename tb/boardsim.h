// The Verilated top of a board: its two UART pins, bit by bit, on one side, a file descriptor on the other.
// Ports of the top: clk, rst, rx, tx, leds.
#pragma once
#include <cstdint>

#define LPU_EXPORT extern "C" __attribute__((visibility("default")))

// `divisor`: clock cycles a bit.
LPU_EXPORT void* board_create(uint32_t divisor);
LPU_EXPORT void board_destroy(void* board);
// Hold reset for some cycles, as at power on: what is under way is lost, memories stay.
LPU_EXPORT void board_reset(void* board, uint64_t cycles);
// Run until board_stop: bytes that can be read from `fd` go to pin rx, bytes from pin tx are written to it. While nobody talks
// and no light is on but those that stay, the clock stands still. Returns 0, or errno of what failed.
LPU_EXPORT int board_run(void* board, int fd);
LPU_EXPORT void board_stop(void* board);
// Clock cycles since creation; lights.
LPU_EXPORT uint64_t board_cycles(void* board);
LPU_EXPORT uint32_t board_leds(void* board);
