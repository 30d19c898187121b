// Several Verilated tiles: tb/systemsim.py. Chips have clocks of their own, which usually beat together.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <vector>

#include "Vtop.h"
#include "chips.h"
#include "verilated.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

struct Pins {
    CData *clk, *rst, *command_valid, *command_ready, *response_valid, *response_ready, *busy, *violation;
    IData *command, *response;
};

struct Host {
    std::deque<uint32_t> commands, responses;
    bool offer = false;
    uint64_t cycles = 0;
    uint64_t half = 5000, next = 5000;  // ps to an edge, and when the next one is
};

// Breaks a direction of a cable: so many wrong bits in every flit of the frames that pass.
struct Errors {
    int bits = 0;
    int beat = -1;  // of the frame under way
    uint64_t flits = 0;
    int at[2] = {-1, -1};
};

class System {
  public:
    System() : hosts(CHIPS), errors(WAYS) {
        BIND(top, pins)
        for (auto& p : pins) *p.clk = 0, *p.rst = 0, *p.command_valid = 0, *p.response_ready = 1;
        top.eval();
    }
    ~System() { top.final(); }

    void low(int n) {
        Host& h = hosts[n];
        Pins& p = pins[n];
        h.offer = !h.commands.empty();
        *p.command_valid = h.offer;
        *p.command = h.offer ? h.commands.front() : 0;
        *p.clk = 0;
    }
    void before_high(int n) {
        Host& h = hosts[n];
        Pins& p = pins[n];
        if (h.offer && *p.command_ready) h.commands.pop_front();
        if (*p.response_valid) h.responses.push_back(*p.response);
        h.cycles++;
    }
    // All chips through one cycle, or as far as their clocks take them in that time.
    void cycle() {
        if (together) {
            for (int n = 0; n < CHIPS; n++) low(n);
            disturb();
            top.eval();
            for (int n = 0; n < CHIPS; n++) before_high(n);
            for (auto& p : pins) *p.clk = 1;
            top.eval();
            now += 10000;
            return;
        }
        const uint64_t until = now + 10000;
        for (;;) {
            uint64_t at = hosts[0].next;
            for (auto& h : hosts) at = std::min(at, h.next);
            if (at > until) break;
            for (int n = 0; n < CHIPS; n++) {
                if (hosts[n].next != at) continue;
                hosts[n].next += hosts[n].half;
                if (*pins[n].clk) {
                    low(n);
                } else {
                    before_high(n);
                    *pins[n].clk = 1;
                }
            }
            top.eval();
        }
        now = until;
    }

    // Errors: a frame is seen by its header, and every flit gets its wrong bits where a generator says.
    void disturb() {
        for (int n = 0; n < WAYS; n++) {
            Errors& e = errors[n];
            uint32_t flip = 0;
            const uint32_t data = seen(top, n);
            if (e.beat < 0 && data) e.beat = 0;
            if (e.bits && e.beat >= 1 && e.beat <= FLITS * PER_FLIT) {
                const int place = (e.beat - 1) % PER_FLIT;
                if (place == 0) {
                    e.at[0] = chance() % (PER_FLIT * WIDTH);
                    do e.at[1] = chance() % (PER_FLIT * WIDTH);
                    while (e.at[1] == e.at[0]);
                    e.flits++;
                }
                for (int k = 0; k < e.bits; k++)
                    if (e.at[k] >= 0 && e.at[k] / WIDTH == place) flip |= 1u << e.at[k] % WIDTH;
            }
            if (e.bits) set_flip(top, n, flip);
            if (e.beat >= 0 && ++e.beat == BEATS) e.beat = -1;
        }
    }
    uint32_t chance() {  // xorshift64
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        return random >> 32;
    }
    bool idle() const {
        for (int n = 0; n < CHIPS; n++)
            if (!hosts[n].commands.empty() || *pins[n].busy) return false;
        return true;
    }

    VerilatedContext context;
    Vtop top{&context};
    Pins pins[CHIPS];
    std::vector<Host> hosts;
    std::vector<Errors> errors;
    bool together = true;
    uint64_t now = 0, random = 88172645463325252ull;
};

System& of(void* s) { return *static_cast<System*>(s); }

}  // namespace

EXPORT void* sys_create() { return new System; }
EXPORT void sys_destroy(void* s) { delete &of(s); }
EXPORT void sys_clock(void* s, int chip, uint64_t half, uint64_t phase) {
    of(s).together = false;
    of(s).hosts[chip].half = half;
    of(s).hosts[chip].next = of(s).now + half + phase;
}
EXPORT void sys_reset(void* s, int chip, int level) {
    *of(s).pins[chip].rst = level;
    if (level) of(s).hosts[chip].commands.clear();
}
EXPORT void sys_hold(void* s, int way, uint32_t mask) { set_hold(of(s).top, way, mask); }
EXPORT void sys_errors(void* s, int way, int bits, uint64_t seed) {
    of(s).errors[way].bits = bits;
    of(s).errors[way].at[0] = of(s).errors[way].at[1] = -1;  // from the next flit on
    of(s).random ^= seed * 0x9E3779B97F4A7C15ull;
    if (!bits) set_flip(of(s).top, way, 0);
}
EXPORT uint32_t sys_seen(void* s, int way) { return seen(of(s).top, way); }
EXPORT uint64_t sys_flits(void* s, int way) { return of(s).errors[way].flits; }
EXPORT void sys_send(void* s, int chip, const uint32_t* words, uint64_t count) {
    auto& c = of(s).hosts[chip].commands;
    c.insert(c.end(), words, words + count);
}
EXPORT uint64_t sys_receive(void* s, int chip, uint32_t* words, uint64_t count, uint64_t limit) {
    auto& r = of(s).hosts[chip].responses;
    while (r.size() < count && limit--) of(s).cycle();
    const uint64_t found = std::min<uint64_t>(count, r.size());
    std::copy_n(r.begin(), found, words);
    r.erase(r.begin(), r.begin() + found);
    return found;
}
EXPORT uint64_t sys_step(void* s, uint64_t cycles, int until_idle) {
    System& y = of(s);
    uint64_t done = 0;
    for (; until_idle && done < 16 && done < cycles; done++) y.cycle();
    while (done < cycles && !(until_idle && y.idle())) y.cycle(), done++;
    return done;
}
EXPORT uint64_t sys_cycles(void* s, int chip) { return of(s).hosts[chip].cycles; }
EXPORT uint64_t sys_unsent(void* s, int chip) { return of(s).hosts[chip].commands.size(); }
EXPORT int sys_busy(void* s, int chip) { return *of(s).pins[chip].busy; }
