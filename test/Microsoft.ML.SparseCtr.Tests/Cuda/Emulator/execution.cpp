// A block's threads are fibers on the calling OS thread, and change places only where CUDA lets them wait for each other: in
// barriers and warp collectives. So what they do is the same in every run, and a wait that can never end is seen.
#include "execution.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iomanip>
#include <map>
#include <mutex>
#include <vector>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emulator {
namespace {

// --- fibers ---

#ifdef __x86_64__

// Ten times as fast as ucontext, which calls the system to set the signal mask.
struct Fiber {
  void* stack_pointer;

  void start(char* stack, size_t bytes, void (*entry)()) {
    constexpr int saved_registers = 6;
    void** top = reinterpret_cast<void**>(stack + bytes) - 2;
    *top = reinterpret_cast<void*>(entry);
    stack_pointer = top - saved_registers;
  }
};

extern "C" void emulator_switch(void** saved, void* loaded);
asm(R"(
.text
.type emulator_switch, @function
emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size emulator_switch, . - emulator_switch
)");

void change(Fiber& from, Fiber& to) { emulator_switch(&from.stack_pointer, to.stack_pointer); }

#else

struct Fiber {
  ucontext_t context;

  void start(char* stack, size_t bytes, void (*entry)()) {
    getcontext(&context);
    context.uc_stack.ss_sp = stack;
    context.uc_stack.ss_size = bytes;
    makecontext(&context, entry, 0);
  }
};

void change(Fiber& from, Fiber& to) { swapcontext(&from.context, &to.context); }

#endif

// --- the state of the one launch that runs ---

constexpr unsigned warp_size = 32;

enum class State { ready, in_block_barrier, in_warp_exchange, ended };

// What a thread brings to a barrier or an exchange.
struct Wait {
  const char* call;
  Place at;
  unsigned mask, source;
  unsigned long long value;
};

struct Thread {
  Fiber fiber;
  uint3 index;
  State state;
  Wait wait;
  Exchanged result;

  // A module holds equal names once, so that their addresses tell them apart.
  bool waits_with(const Thread& other) const {
    return state == other.state && wait.call == other.wait.call && wait.mask == other.wait.mask && wait.at.file == other.wait.at.file &&
           wait.at.line == other.wait.at.line;
  }
};

std::mutex one_launch;
Launch launch;
std::vector<Thread> threads;
Fiber scheduler;
unsigned current;     // the running thread
std::string failure;  // empty until something is found

long launches;
bool reversed;

void suspend(State state) {
  threads[current].state = state;
  change(threads[current].fiber, scheduler);
}

// Ends the launch: no thread is resumed.
void fail(Place at, const std::string& message) {
  failure = text(at, ": ", message, " (thread ", threadIdx, ")");
  suspend(State::ended);
}

Exchanged wait_in(State state, const Wait& wait) {
  threads[current].wait = wait;
  suspend(state);
  return threads[current].result;
}

// --- waiting for each other ---

// Lets those lanes go on whose whole mask waits in the same call. Returns whether there were any.
bool release_warps() {
  bool any = false;
  for (unsigned i = 0; i < threads.size(); i++) {
    if (threads[i].state != State::in_warp_exchange) continue;
    const unsigned first = i - i % warp_size, end = std::min<unsigned>(first + warp_size, threads.size());
    unsigned arrived = 0, nonzero = 0;
    for (unsigned j = first; j < end; j++) {
      if (!threads[j].waits_with(threads[i])) continue;
      arrived |= 1u << (j - first);
      nonzero |= unsigned{threads[j].wait.value != 0} << (j - first);
    }
    if (arrived != threads[i].wait.mask) continue;
    for (unsigned j = first; j < end; j++) {
      if (!(arrived >> (j - first) & 1)) continue;
      threads[j].result = {threads[first + threads[j].wait.source].wait.value, nonzero};
      threads[j].state = State::ready;
    }
    any = true;
  }
  return any;
}

bool release_block() {
  unsigned long long nonzero = 0;
  for (const Thread& thread : threads) {
    if (thread.state != State::in_block_barrier || !thread.waits_with(threads[0])) return false;
    nonzero += thread.wait.value != 0;
  }
  for (Thread& thread : threads) {
    thread.result.value = nonzero;
    thread.state = State::ready;
  }
  return true;
}

std::string waiting(const Thread& thread) {
  if (thread.state == State::ended) return "have ended";
  const std::string where = text("wait in ", thread.wait.call, " at ", thread.wait.at);
  if (thread.state == State::in_block_barrier) return where;
  return text(where, " for the lanes 0x", std::hex, std::setw(8), std::setfill('0'), thread.wait.mask);
}

// Who waits where, when nobody can go on.
std::string deadlock() {
  std::map<std::string, std::vector<uint3>> groups;
  for (const Thread& thread : threads) groups[waiting(thread)].push_back(thread.index);
  std::string message = "threads wait for others that do not come";
  for (const auto& [what, members] : groups)
    message += text("; ", members.size(), " of ", threads.size(), ", from ", members[0], " on, ", what);
  return message;
}

// --- blocks ---

constexpr size_t stack_bytes = 256 << 10, guard_bytes = 64 << 10;

// Below each thread's stack are pages that fault.
char* stack(unsigned thread) {
  static char* const stacks = [] {
    void* memory = mmap(nullptr, max_threads * stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) abort();
    for (unsigned i = 0; i < max_threads; i++) mprotect(static_cast<char*>(memory) + i * stack_bytes, guard_bytes, PROT_NONE);
    return static_cast<char*>(memory);
  }();
  return stacks + thread * stack_bytes;
}

void run_thread() {
  launch.kernel->run(launch.parameters);
  suspend(State::ended);
}

void resume(unsigned thread) {
  current = thread;
  threadIdx = threads[thread].index;
  change(scheduler, threads[thread].fiber);
}

// Shared memory holds what is not a number until a thread writes it; behind the dynamic part nothing may be written.
constexpr size_t behind_bytes = 4096;

void fill_shared_memory() {
  if (launch.static_shared_bytes > 0) memset(launch.static_shared, 0xff, launch.static_shared_bytes);
  memset(shared_memory, 0xff, launch.shared_bytes + behind_bytes);
}

void check_shared_memory() {
  const unsigned char* end = shared_memory + launch.shared_bytes;
  if (std::any_of(end, end + behind_bytes, [](unsigned char byte) { return byte != 0xff; }))
    failure = text("a thread wrote behind the ", launch.shared_bytes, " bytes of dynamic shared memory");
}

void run_block() {
  fill_shared_memory();
  const unsigned count = threads.size();
  for (unsigned i = 0; i < count; i++) {
    threads[i].state = State::ready;
    // Tops a whole number of pages apart would share few of the cache's lines.
    threads[i].fiber.start(stack(i), stack_bytes - i % 64 * 192, run_thread);
  }
  do {
    for (unsigned i = 0; i < count && failure.empty(); i++) {
      const unsigned thread = reversed ? count - 1 - i : i;
      if (threads[thread].state == State::ready) resume(thread);
    }
    if (!failure.empty()) return;
  } while (release_warps() || release_block());
  if (std::all_of(threads.begin(), threads.end(), [](const Thread& thread) { return thread.state == State::ended; })) check_shared_memory();
  else failure = deadlock();
}

}  // namespace

alignas(1024) unsigned char shared_memory[max_shared_bytes + behind_bytes];

unsigned lane() { return current % warp_size; }

unsigned block_barrier(const char* name, unsigned value, Place at) {
  return wait_in(State::in_block_barrier, {name, at, 0, 0, value}).value;
}

Exchanged warp_exchange(const char* name, unsigned mask, unsigned long long value, unsigned source, Place at) {
  if (!(mask >> lane() & 1)) fail(at, text("the mask of ", name, " does not name the calling lane"));
  if (!(mask >> source & 1)) fail(at, text("the mask of ", name, " does not name the lane that is read"));
  return wait_in(State::in_warp_exchange, {name, at, mask, source, value});
}

std::string run(const Launch& asked) {
  const std::lock_guard<std::mutex> lock(one_launch);
  launches++;
  launch = asked;
  failure.clear();
  gridDim = launch.grid;
  blockDim = launch.block;
  threads.resize(blockDim.x * blockDim.y * blockDim.z);
  for (unsigned i = 0; i < threads.size(); i++)
    threads[i].index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
  const uint64_t blocks = uint64_t{gridDim.x} * gridDim.y * gridDim.z;
  for (uint64_t i = 0; i < blocks && failure.empty(); i++) {
    const uint64_t block = reversed ? blocks - 1 - i : i;
    blockIdx.x = block % gridDim.x;
    blockIdx.y = block / gridDim.x % gridDim.y;
    blockIdx.z = block / gridDim.x / gridDim.y;
    run_block();
  }
  return failure.empty() ? "" : text("block ", blockIdx, ": ", failure);
}

}  // namespace emulator

using namespace emulator;

extern "C" {

// --- for tests ---

// Runs blocks, and threads between barriers, from the last to the first: a result that differs needs an order that a GPU does not keep.
void emulator_reverse_threads(int reverse) {
  const std::lock_guard<std::mutex> lock(one_launch);
  reversed = reverse != 0;
}

long emulator_launches() {
  const std::lock_guard<std::mutex> lock(one_launch);
  return launches;
}

// --- what -fsanitize=alignment,bounds,null calls ---

struct SourceLocation {
  const char* file;
  uint32_t line, column;
};

struct TypeMismatch {
  SourceLocation at;
  const struct Type {
    uint16_t kind, info;
    char name[1];
  }* type;
};

void __ubsan_handle_type_mismatch_v1(const TypeMismatch* mismatch, uintptr_t address) {
  fail(Place(mismatch->at.file, mismatch->at.line), text(address == 0 ? "null pointer to " : "unaligned access to ", mismatch->type->name));
}

void __ubsan_handle_out_of_bounds(const SourceLocation* at, intptr_t index) {
  fail(Place(at->file, at->line), text("index ", index, " is outside the array"));
}

}  // extern "C"
