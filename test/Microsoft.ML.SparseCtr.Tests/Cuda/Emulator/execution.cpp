// A block's threads are fibers on the calling OS thread, and change places only where CUDA lets them wait for each other: in
// barriers and warp collectives. So what they do is the same in every run, and a wait that can never end is seen.
#include "execution.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <vector>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emulator {
namespace {

// --- fibers ---

#if defined(__x86_64__) && !defined(EMULATOR_UCONTEXT)

// Twenty times as fast as ucontext, which calls the kernel to set the signal mask.
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
#include <ucontext.h>

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

struct Thread {
  Fiber fiber;
  uint3 index;
  State state;
  // What it waits in, and what it brings there.
  const char* call;
  Place place;
  unsigned mask, source;
  unsigned long long value;
  // What it takes away.
  Exchanged exchanged;
  unsigned count;

  bool waits_with(const Thread& other) const {
    return state == other.state && mask == other.mask && place.line == other.place.line && !strcmp(call, other.call) &&
           !strcmp(place.file, other.place.file);
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

std::string text(Place place) { return std::string(place.file) + ":" + std::to_string(place.line); }

std::string text(uint3 index) {
  return "(" + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " + std::to_string(index.z) + ")";
}

void suspend(State state) {
  threads[current].state = state;
  change(threads[current].fiber, scheduler);
}

// Ends the launch; the fibers are never resumed.
void fail(const std::string& message) {
  failure = message + " (thread " + text(threadIdx) + ")";
  suspend(State::ended);
}

// --- waiting for each other ---

// Lets those lanes go on whose whole mask waits in the same call. Returns whether there were any.
bool release_warps() {
  bool any = false;
  for (unsigned i = 0; i < threads.size(); i++) {
    const Thread& leader = threads[i];
    if (leader.state != State::in_warp_exchange) continue;
    const unsigned first = i - i % warp_size;
    std::vector<Thread*> lanes;
    unsigned arrived = 0, nonzero = 0;
    for (unsigned lane = 0; lane < warp_size && first + lane < threads.size(); lane++) {
      Thread& thread = threads[first + lane];
      if (!thread.waits_with(leader)) continue;
      lanes.push_back(&thread);
      arrived |= 1u << lane;
      nonzero |= unsigned{thread.value != 0} << lane;
    }
    if (arrived != leader.mask) continue;
    for (Thread* thread : lanes) thread->exchanged = {threads[first + thread->source].value, nonzero};
    for (Thread* thread : lanes) thread->state = State::ready;
    any = true;
  }
  return any;
}

bool release_block() {
  const Thread& first = threads[0];
  if (first.state != State::in_block_barrier) return false;
  if (!std::all_of(threads.begin(), threads.end(), [&](const Thread& thread) { return thread.waits_with(first); })) return false;
  const unsigned count = std::count_if(threads.begin(), threads.end(), [](const Thread& thread) { return thread.value != 0; });
  for (Thread& thread : threads) {
    thread.count = count;
    thread.state = State::ready;
  }
  return true;
}

// Who waits where, when nobody can go on.
std::string deadlock() {
  std::string message = "threads wait for others that do not come:";
  std::vector<bool> told(threads.size());
  for (size_t i = 0; i < threads.size(); i++) {
    if (told[i]) continue;
    const Thread& thread = threads[i];
    size_t count = 0;
    for (size_t j = i; j < threads.size(); j++) {
      if (thread.state == State::ended ? threads[j].state != State::ended : !threads[j].waits_with(thread)) continue;
      told[j] = true;
      count++;
    }
    message += (i == 0 ? " " : ", ") + std::to_string(count) + " of " + std::to_string(threads.size()) + " threads, the first " +
               text(thread.index) + ", ";
    if (thread.state == State::ended) {
      message += "have ended";
      continue;
    }
    message += "wait in " + std::string(thread.call) + " at " + text(thread.place);
    char mask[32];
    snprintf(mask, sizeof mask, " for the lanes 0x%08x", thread.mask);
    if (thread.state == State::in_warp_exchange) message += mask;
  }
  return message;
}

// --- blocks ---

constexpr size_t stack_bytes = 256 << 10, guard_bytes = 64 << 10;

// Each thread's stack ends in a page that faults.
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
    failure = "a thread wrote behind the " + std::to_string(launch.shared_bytes) + " bytes of dynamic shared memory";
}

void run_block() {
  fill_shared_memory();
  const unsigned count = threads.size();
  for (unsigned i = 0; i < count; i++) {
    threads[i].state = State::ready;
    threads[i].fiber.start(stack(i), stack_bytes, run_thread);
  }
  do {
    for (unsigned i = 0; i < count && failure.empty(); i++) {
      const unsigned thread = reversed ? count - 1 - i : i;
      if (threads[thread].state == State::ready) resume(thread);
    }
    if (!failure.empty()) return;
  } while (release_warps() || release_block());
  if (std::any_of(threads.begin(), threads.end(), [](const Thread& thread) { return thread.state != State::ended; })) failure = deadlock();
  else check_shared_memory();
}

}  // namespace

alignas(1024) unsigned char shared_memory[max_shared_bytes + behind_bytes];

unsigned lane() { return current % warp_size; }

unsigned block_barrier(const char* name, bool predicate, Place place) {
  Thread& thread = threads[current];
  thread.call = name;
  thread.place = place;
  thread.mask = 0;
  thread.value = predicate;
  suspend(State::in_block_barrier);
  return thread.count;
}

Exchanged warp_exchange(const char* name, unsigned mask, unsigned long long value, unsigned source, Place place) {
  if (!(mask >> lane() & 1)) fail(std::string(name) + " at " + text(place) + ": the mask does not name the calling lane");
  if (!(mask >> source & 1)) fail(std::string(name) + " at " + text(place) + ": the mask does not name the lane that is read");
  Thread& thread = threads[current];
  thread.call = name;
  thread.place = place;
  thread.mask = mask;
  thread.source = source;
  thread.value = value;
  suspend(State::in_warp_exchange);
  return thread.exchanged;
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
  return failure.empty() ? "" : "block " + text(blockIdx) + ": " + failure;
}

}  // namespace emulator

using namespace emulator;

extern "C" {

// --- for tests ---

// Runs blocks, and threads between barriers, from the last to the first: a result that differs hangs on an order that a GPU does not keep.
void emulator_reverse_threads(int reverse) {
  const std::lock_guard<std::mutex> lock(one_launch);
  reversed = reverse != 0;
}

long emulator_launches() {
  const std::lock_guard<std::mutex> lock(one_launch);
  return launches;
}

// --- what -fsanitize=alignment,bounds calls ---

struct SourceLocation {
  const char* file;
  uint32_t line, column;
};

struct TypeMismatch {
  SourceLocation location;
  const struct TypeDescriptor {
    uint16_t kind, info;
    char name[1];
  }* type;
};

static Place place(const SourceLocation& location) { return {location.file, static_cast<int>(location.line)}; }

void __ubsan_handle_type_mismatch_v1(const TypeMismatch* mismatch, uintptr_t) {
  fail(text(place(mismatch->location)) + ": unaligned access to " + mismatch->type->name);
}

void __ubsan_handle_out_of_bounds(const SourceLocation* location, uintptr_t index) {
  fail(text(place(*location)) + ": index " + std::to_string(static_cast<intptr_t>(index)) + " is outside the array");
}

}  // extern "C"
