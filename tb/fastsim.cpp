#include "fastsim.h"

#include <algorithm>
#include <deque>
#include <memory>

#include "Vtop.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_fst_c.h"
#endif

// Amaranth joins the names of a stream's members with two underscores, which Verilator spells out.
#define PORT(stream, member) stream##___05F##member

namespace {

class Simulation {
  public:
    Simulation() : top{&context} {
#if VM_TRACE
        context.traceEverOn(true);
#endif
        top.clk = 0;
        top.rst = 0;
        top.PORT(command, valid) = 0;
        top.PORT(response, ready) = 0;
        top.eval();
    }
    ~Simulation() {
        trace_close();
        top.final();
    }

    // Until the first clock edge the streams stand still: a word offered in a cycle moves at its end if ready is set.
    void cycle() {
        // A word once offered stays until it is taken.
        offer = !commands.empty() && (offer || offer_odds > 255 || chance() < offer_odds);
        const bool take = take_odds > 255 || chance() < take_odds;
        top.PORT(command, valid) = offer;
        top.PORT(command, payload) = offer ? commands.front() : 0;
        top.PORT(response, ready) = take;
        top.clk = 0;
        top.eval();
        dump(0);
        if (offer && top.PORT(command, ready)) {
            commands.pop_front();
            offer = false;
        }
        if (take && top.PORT(response, valid)) responses.push_back(top.PORT(response, payload));
        top.clk = 1;
        top.eval();
        dump(1);
        cycles++;
    }

    void reset(uint64_t count) {
        commands.clear();
        offer = false;
        top.rst = 1;
        for (uint64_t i = 0; i < count; i++) cycle();
        top.rst = 0;
        responses.clear();
    }

    bool trace(const char* path) {
#if VM_TRACE
        trace_close();
        fst = std::make_unique<VerilatedFstC>();
        top.trace(fst.get(), 99);
        fst->open(path);
        return fst->isOpen();
#else
        (void)path;
        return false;
#endif
    }
    void trace_close() {
#if VM_TRACE
        if (fst) fst->close();
        fst.reset();
#endif
    }

    VerilatedContext context;
    Vtop top;
    std::deque<uint32_t> commands, responses;
    uint64_t cycles = 0;
    uint32_t offer_odds = 256, take_odds = 256;
    uint64_t random = 1;

  private:
    bool offer = false;
    uint32_t chance() {  // xorshift64
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        return random >> 32 & 0xff;
    }
    void dump(int half) {
#if VM_TRACE
        if (fst) fst->dump(2 * cycles + half);
#else
        (void)half;
#endif
    }
#if VM_TRACE
    std::unique_ptr<VerilatedFstC> fst;
#endif
};

Simulation& of(void* sim) { return *static_cast<Simulation*>(sim); }

}  // namespace

void* lpu_create() { return new Simulation; }
void lpu_destroy(void* sim) { delete &of(sim); }
void lpu_reset(void* sim, uint64_t cycles) { of(sim).reset(cycles); }
void lpu_send(void* sim, const uint32_t* words, uint64_t count) {
    of(sim).commands.insert(of(sim).commands.end(), words, words + count);
}
uint64_t lpu_receive(void* sim, uint32_t* words, uint64_t count, uint64_t limit) {
    Simulation& s = of(sim);
    while (s.responses.size() < count && limit--) s.cycle();
    const uint64_t found = std::min<uint64_t>(count, s.responses.size());
    std::copy_n(s.responses.begin(), found, words);
    s.responses.erase(s.responses.begin(), s.responses.begin() + found);
    return found;
}
uint64_t lpu_step(void* sim, uint64_t cycles, int until_idle) {
    Simulation& s = of(sim);
    uint64_t done = 0;
    // START is answered before the tile is busy: look again a little later.
    for (; until_idle && done < 16 && done < cycles; done++) s.cycle();
    while (done < cycles && !(until_idle && s.commands.empty() && !s.top.busy)) {
        s.cycle();
        done++;
    }
    return done;
}
uint64_t lpu_cycles(void* sim) { return of(sim).cycles; }
uint32_t lpu_pins(void* sim) { return of(sim).top.busy | of(sim).top.violation << 1; }
uint64_t lpu_unsent(void* sim) { return of(sim).commands.size(); }
uint64_t lpu_waiting(void* sim) { return of(sim).responses.size(); }
void lpu_stall(void* sim, uint32_t offer, uint32_t take, uint64_t seed) {
    of(sim).offer_odds = offer;
    of(sim).take_odds = take;
    of(sim).random = seed * 2 + 1;
}
int lpu_trace(void* sim, const char* path) { return of(sim).trace(path); }
void lpu_trace_close(void* sim) { of(sim).trace_close(); }
