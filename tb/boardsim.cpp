#include "boardsim.h"

#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <deque>

#include "Vtop.h"
#include "verilated.h"

namespace {

class Board {
  public:
    explicit Board(uint32_t divisor) : top{&context}, divisor{divisor} {
        top.clk = 0;
        top.rst = 0;
        top.rx = 1;
        top.eval();
        reset(4);
    }
    ~Board() { top.final(); }

    void reset(uint64_t count) {
        to_board.clear();
        from_board.clear();
        sending = receiving = 0;
        top.rx = 1;
        top.rst = 1;
        for (uint64_t i = 0; i < count; i++) cycle();
        top.rst = 0;
    }

    void cycle() {
        send();
        top.clk = 0;
        top.eval();
        receive();
        top.clk = 1;
        top.eval();
        cycles++;
    }

    int run(int fd) {
        uint64_t quiet = 0;
        while (!stopping) {
            uint8_t buffer[4096];
            if (to_board.size() < sizeof buffer) {
                pollfd waits{fd, POLLIN, 0};
                // A frame may still lie in the board: some cycles go by before the clock stands still.
                const int found = poll(&waits, 1, quiet > 64 ? 20 : 0);
                if (found < 0 && errno != EINTR) return errno;
                if (found > 0 && waits.revents & (POLLERR | POLLHUP | POLLNVAL)) return EIO;
                if (found > 0) {
                    const ssize_t count = read(fd, buffer, sizeof buffer);
                    if (count < 0 && errno != EAGAIN && errno != EINTR) return errno;
                    if (count > 0) to_board.insert(to_board.end(), buffer, buffer + count);
                } else if (quiet > 64) {
                    continue;
                }
            }
            for (int n = 0; n < 256; n++) cycle();
            size_t count = 0;
            while (count < sizeof buffer && count < from_board.size()) {
                buffer[count] = from_board[count];
                count++;
            }
            for (size_t done = 0; done < count && !stopping;) {
                const ssize_t put = write(fd, buffer + done, count - done);
                if (put < 0 && errno != EAGAIN && errno != EINTR) return errno;
                if (put > 0) done += put;
                if (put <= 0) usleep(1000);
            }
            from_board.erase(from_board.begin(), from_board.begin() + count);
            const bool busy = !to_board.empty() || sending || receiving || count || (top.leds & 3);
            quiet = busy ? 0 : quiet + 1;
        }
        return 0;
    }

    VerilatedContext context;
    Vtop top;
    uint64_t cycles = 0;
    std::atomic<bool> stopping{false};

  private:
    // To the board: start bit, eight bits lowest first, stop bit, `divisor` cycles each.
    void send() {
        if (!sending) {
            if (to_board.empty()) return;
            shift = 0x200 | to_board.front() << 1;
            to_board.pop_front();
            sending = 10 * divisor;
        }
        top.rx = shift >> ((10 * divisor - sending) / divisor) & 1;
        sending--;
    }
    // From the board: each bit is looked at in its middle.
    void receive() {
        if (!receiving) {
            if (top.tx) return;
            receiving = 10 * divisor;
            byte = 0;
        }
        const uint32_t at = 10 * divisor - receiving, bit = at / divisor;
        if (at % divisor == divisor / 2 && bit >= 1 && bit <= 8) byte |= top.tx << (bit - 1);
        if (at == 9 * divisor + divisor / 2) {  // amid the stop bit
            from_board.push_back(byte);
            receiving = 0;
            return;
        }
        receiving--;
    }

    const uint32_t divisor;
    std::deque<uint8_t> to_board, from_board;
    uint32_t sending = 0, receiving = 0, shift = 0, byte = 0;
};

Board& of(void* board) { return *static_cast<Board*>(board); }

}  // namespace

void* board_create(uint32_t divisor) { return new Board(divisor); }
void board_destroy(void* board) { delete &of(board); }
void board_reset(void* board, uint64_t cycles) { of(board).reset(cycles); }
int board_run(void* board, int fd) {
    const int status = of(board).run(fd);
    of(board).stopping = false;
    return status;
}
void board_stop(void* board) { of(board).stopping = true; }
uint64_t board_cycles(void* board) { return of(board).cycles; }
uint32_t board_leds(void* board) { return of(board).top.leds; }
