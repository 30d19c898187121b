// The Verilated tile as a shared library: the host's two streams with buffers on this side, so that a caller
// steps many cycles at once. Ports of the top: clk, rst, command__{payload,valid,ready},
// response__{payload,valid,ready}, busy, violation.
#pragma once
#include <cstdint>

#define LPU_EXPORT extern "C" __attribute__((visibility("default")))

LPU_EXPORT void* lpu_create();
LPU_EXPORT void lpu_destroy(void* sim);
// Hold reset for some cycles; buffered words are forgotten.
LPU_EXPORT void lpu_reset(void* sim, uint64_t cycles);
// Append words to what waits for the command stream.
LPU_EXPORT void lpu_send(void* sim, const uint32_t* words, uint64_t count);
// Run until `count` response words wait, at most `limit` cycles; takes as many as there are, up to count.
LPU_EXPORT uint64_t lpu_receive(void* sim, uint32_t* words, uint64_t count, uint64_t limit);
// Run `cycles` cycles. With `until_idle`, stop when no command word waits and the tile is not busy.
LPU_EXPORT uint64_t lpu_step(void* sim, uint64_t cycles, int until_idle);
// Clock cycles since creation; busy in bit 0, violation in bit 1; words that wait either way.
LPU_EXPORT uint64_t lpu_cycles(void* sim);
LPU_EXPORT uint32_t lpu_pins(void* sim);
LPU_EXPORT uint64_t lpu_unsent(void* sim);
LPU_EXPORT uint64_t lpu_waiting(void* sim);
// Back-pressure: each cycle, a word is offered or taken with these odds (0 to 256, 256 always), by a seed.
LPU_EXPORT void lpu_stall(void* sim, uint32_t offer, uint32_t take, uint64_t seed);
// Record an FST file from now on (a library built with tracing; returns 0 without) and stop doing so.
LPU_EXPORT int lpu_trace(void* sim, const char* path);
LPU_EXPORT void lpu_trace_close(void* sim);
