// The functions of CUDA's driver (libcuda) and run-time compiler (libnvrtc) that the library calls, for kernels that run on the CPU:
// device memory is the process's own, a "cubin" is a shared library of the system's compiler, a launch ends before it returns.
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <regex>
#include <string>
#include <vector>

#include "execution.h"

namespace {

namespace files = std::filesystem;

// --- errors ---

#define RESULTS(X)                           \
  X(CUDA_SUCCESS, 0)                         \
  X(CUDA_ERROR_INVALID_VALUE, 1)             \
  X(CUDA_ERROR_NOT_INITIALIZED, 3)           \
  X(CUDA_ERROR_INVALID_DEVICE, 101)          \
  X(CUDA_ERROR_INVALID_IMAGE, 200)           \
  X(CUDA_ERROR_INVALID_CONTEXT, 201)         \
  X(CUDA_ERROR_NOT_FOUND, 500)               \
  X(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, 701) \
  X(CUDA_ERROR_LAUNCH_FAILED, 719)

#define ENUMERATOR(name, value) name = value,
enum CUresult { RESULTS(ENUMERATOR) };

// What the calling thread's last failure was about, which a real driver's messages do not say.
thread_local CUresult failed = CUDA_SUCCESS;
thread_local std::string failure = "no error";

template <class... Parts>
CUresult fail(CUresult result, const Parts&... parts) {
  failure = emulator::text(parts...);
  return failed = result;
}

// --- modules ---

struct Function {
  std::string name;
  const emulator::Kernel* kernel;
  const struct Module* module;
  long max_shared_bytes;  // dynamic
};

struct Module {
  void* library;
  size_t tls;  // the dynamic linker's number for the library's thread_local variables; 0 where there are none
  size_t static_shared_bytes;
  std::map<std::string, Function> functions;
};

extern "C" void* __tls_get_addr(size_t (*module_and_offset)[2]);

// The calling OS thread's.
void* static_shared(const Module& module) {
  size_t start[2] = {module.tls, 0};
  return module.tls == 0 ? nullptr : __tls_get_addr(&start);
}

int find_static_shared_bytes(dl_phdr_info* info, size_t, void* context) {
  Module& module = *static_cast<Module*>(context);
  for (int i = 0; info->dlpi_tls_modid == module.tls && i < info->dlpi_phnum; i++)
    if (info->dlpi_phdr[i].p_type == PT_TLS) module.static_shared_bytes = info->dlpi_phdr[i].p_memsz;
  return 0;
}

size_t library_bytes(const void* image) {
  const auto& header = *static_cast<const ElfW(Ehdr)*>(image);
  return memcmp(header.e_ident, ELFMAG, SELFMAG) ? 0 : header.e_shoff + size_t{header.e_shentsize} * header.e_shnum;
}

struct TemporaryFolder {
  std::string path = (files::temp_directory_path() / "cuda-emulator-XXXXXX").string();

  TemporaryFolder() {
    if (!mkdtemp(path.data())) throw std::runtime_error("cannot create " + path);
  }
  ~TemporaryFolder() { files::remove_all(path); }

  std::string file(const std::string& name) const { return path + "/" + name; }
};

// --- programs ---

struct Program {
  std::string source, name, log, library;
};

// Dynamic shared memory is one array, which a kernel names as it likes.
std::string with_shared_memory(const std::string& source) {
  static const std::regex declaration(R"(extern\s+__shared__\s+(?:(?:__align__|alignas)\(\d+\)\s*)?([\w\s]+?)\s+(\w+)\s*\[\s*\])");
  return std::regex_replace(source, declaration, "$1* const $2 = reinterpret_cast<$1*>(emulator::shared_memory)");
}

std::string quoted(const std::string& text) { return "'" + std::regex_replace(text, std::regex("'"), "'\\''") + "'"; }

std::string path_of_this_library() {
  Dl_info info;
  dladdr(reinterpret_cast<void*>(&path_of_this_library), &info);
  return info.dli_fname;
}

// Compiles to a library that takes its undefined symbols, also those of the sanitizers, from this one.
int compile(Program& program, const std::vector<std::string>& definitions) {
  const TemporaryFolder folder;
  const std::string source = folder.file("kernel.cu"), library = folder.file("kernel.so");
  const std::string header = files::path(__FILE__).replace_filename("device.h");
  std::ofstream(source) << "#line 1 \"" << program.name << "\"\n" << with_shared_memory(program.source);
  std::string command = "LC_ALL=C c++ -std=c++17 -O2 -g -march=native -ffp-contract=fast -fno-math-errno"
                        " -shared -fPIC -fno-semantic-interposition -nodefaultlibs -fsanitize=alignment,bounds,null"
                        " -x c++ -include " + quoted(header);
  for (const std::string& definition : definitions) command += " " + quoted(definition);
  command += " " + quoted(source) + " -x none " + quoted(path_of_this_library()) + " -lm -lc -o " + quoted(library) + " 2>&1";

  FILE* output = popen(command.c_str(), "r");
  if (!output) return -1;
  char part[4096];
  while (size_t bytes = fread(part, 1, sizeof part, output)) program.log.append(part, bytes);
  const int status = pclose(output);
  if (status == 0) {
    std::ifstream file(library, std::ios::binary);
    program.library.assign(std::istreambuf_iterator<char>(file), {});
  }
  return status;
}

bool initialized = false;
thread_local std::vector<void*> contexts;

}  // namespace

extern "C" {

// --- the driver ---

CUresult cuInit(unsigned) {
  initialized = true;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGet(int* device, int ordinal) {
  if (!initialized) return fail(CUDA_ERROR_NOT_INITIALIZED, "cuInit was not called");
  if (ordinal != 0) return fail(CUDA_ERROR_INVALID_DEVICE, "the emulator has one device, 0");
  *device = ordinal;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int* value, int attribute, int) {
  switch (attribute) {
    case 16: *value = 16; return CUDA_SUCCESS;                          // multiprocessors
    case 75: *value = 8; return CUDA_SUCCESS;                           // compute capability, major
    case 76: *value = 0; return CUDA_SUCCESS;                           // and minor
    case 97: *value = emulator::max_shared_bytes; return CUDA_SUCCESS;  // shared memory of a block, at most
  }
  return fail(CUDA_ERROR_INVALID_VALUE, "device attribute ", attribute, " is not emulated");
}

CUresult cuDevicePrimaryCtxRetain(void** context, int) {
  static int primary;
  if (!initialized) return fail(CUDA_ERROR_NOT_INITIALIZED, "cuInit was not called");
  *context = &primary;
  return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent_v2(void* context) {
  contexts.push_back(context);
  return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent_v2(void** context) {
  if (contexts.empty()) return fail(CUDA_ERROR_INVALID_CONTEXT, "no context is current");
  if (context) *context = contexts.back();
  contexts.pop_back();
  return CUDA_SUCCESS;
}

CUresult cuModuleLoadData(Module** module, const void* image) {
  if (contexts.empty()) return fail(CUDA_ERROR_INVALID_CONTEXT, "no context is current");
  const size_t bytes = library_bytes(image);
  if (bytes == 0) return fail(CUDA_ERROR_INVALID_IMAGE, "the image is not what nvrtcGetCUBIN gave");
  const TemporaryFolder folder;
  const std::string path = folder.file("module.so");
  std::ofstream(path, std::ios::binary).write(static_cast<const char*>(image), bytes);
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) return fail(CUDA_ERROR_INVALID_IMAGE, dlerror());
  *module = new Module{library, 0, 0, {}};
  dlinfo(library, RTLD_DI_TLS_MODID, &(*module)->tls);
  if ((*module)->tls != 0) dl_iterate_phdr(find_static_shared_bytes, *module);
  return CUDA_SUCCESS;
}

CUresult cuModuleUnload(Module* module) {
  dlclose(module->library);
  delete module;
  return CUDA_SUCCESS;
}

CUresult cuModuleGetFunction(Function** function, Module* module, const char* name) {
  const void* kernel = dlsym(module->library, (std::string(name) + "_kernel").c_str());
  if (!kernel) return fail(CUDA_ERROR_NOT_FOUND, "the module has no kernel '", name, "'");
  // What a block has of its own counts too: here, what all kernels of a module declare.
  const long unasked = 48 * 1024 - static_cast<long>(module->static_shared_bytes);
  static std::mutex functions;
  const std::lock_guard<std::mutex> lock(functions);
  *function = &module->functions.try_emplace(name, Function{name, static_cast<const emulator::Kernel*>(kernel), module, unasked}).first->second;
  return CUDA_SUCCESS;
}

CUresult cuFuncSetAttribute(Function* function, int attribute, int value) {
  constexpr int max_dynamic_shared_bytes = 8;
  if (attribute != max_dynamic_shared_bytes) return fail(CUDA_ERROR_INVALID_VALUE, "function attribute ", attribute, " is not emulated");
  if (value < 0 || value + function->module->static_shared_bytes > emulator::max_shared_bytes)
    return fail(CUDA_ERROR_INVALID_VALUE, "a block cannot have ", value, " bytes of dynamic shared memory");
  function->max_shared_bytes = value;
  return CUDA_SUCCESS;
}

CUresult cuLaunchKernel(Function* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                        unsigned block_z, unsigned shared_bytes, void*, void** parameters, void**) {
  const auto refuse = [&](CUresult result, const auto&... parts) { return fail(result, "kernel '", function->name, "': ", parts...); };
  if (contexts.empty()) return refuse(CUDA_ERROR_INVALID_CONTEXT, "no context is current");
  if (grid_x - 1 >= 0x7fffffff || grid_y - 1 >= 65535 || grid_z - 1 >= 65535)
    return refuse(CUDA_ERROR_INVALID_VALUE, "a grid of ", grid_x, " by ", grid_y, " by ", grid_z, " blocks");
  const uint64_t threads = uint64_t{block_x} * block_y * block_z;
  if (threads == 0 || threads > emulator::max_threads || block_z > 64)
    return refuse(CUDA_ERROR_INVALID_VALUE, "a block of ", block_x, " by ", block_y, " by ", block_z, " threads");
  if (threads > function->kernel->max_threads)
    return refuse(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, threads, " threads; __launch_bounds__ allows ", function->kernel->max_threads);
  if (static_cast<long>(shared_bytes) > function->max_shared_bytes)
    return refuse(CUDA_ERROR_INVALID_VALUE, shared_bytes, " bytes of dynamic shared memory; allowed are ", function->max_shared_bytes);
  const Module& module = *function->module;
  const std::string found = emulator::run({function->kernel, parameters[0], {grid_x, grid_y, grid_z}, {block_x, block_y, block_z},
                                           shared_bytes, static_shared(module), module.static_shared_bytes});
  return found.empty() ? CUDA_SUCCESS : refuse(CUDA_ERROR_LAUNCH_FAILED, found);
}

CUresult cuGetErrorName(CUresult result, const char** name) {
#define CASE(name_of, value) \
  case name_of: *name = #name_of; return CUDA_SUCCESS;
  switch (result) { RESULTS(CASE) }
  return CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult result, const char** text) {
  if (result != failed) return cuGetErrorName(result, text);
  *text = failure.c_str();
  return CUDA_SUCCESS;
}

// --- the run-time compiler ---

enum nvrtcResult { NVRTC_SUCCESS = 0, NVRTC_ERROR_COMPILATION = 6 };

nvrtcResult nvrtcGetNumSupportedArchs(int* count) { return *count = 1, NVRTC_SUCCESS; }

nvrtcResult nvrtcGetSupportedArchs(int* architectures) { return *architectures = 80, NVRTC_SUCCESS; }

nvrtcResult nvrtcCreateProgram(Program** program, const char* source, const char* name, int, const char* const*, const char* const*) {
  *program = new Program{source, name ? name : "default_program", "", ""};
  return NVRTC_SUCCESS;
}

nvrtcResult nvrtcDestroyProgram(Program** program) { return delete *program, NVRTC_SUCCESS; }

// Only the definitions (-D) of the options say something to a CPU.
nvrtcResult nvrtcCompileProgram(Program* program, int count, const char* const* options) {
  std::vector<std::string> definitions;
  for (int i = 0; i < count; i++)
    if (strncmp(options[i], "-D", 2) == 0) definitions.push_back(options[i]);
  return compile(*program, definitions) == 0 ? NVRTC_SUCCESS : NVRTC_ERROR_COMPILATION;
}

nvrtcResult nvrtcGetProgramLogSize(Program* program, size_t* bytes) { return *bytes = program->log.size() + 1, NVRTC_SUCCESS; }

nvrtcResult nvrtcGetProgramLog(Program* program, char* log) { return strcpy(log, program->log.c_str()), NVRTC_SUCCESS; }

nvrtcResult nvrtcGetCUBINSize(Program* program, size_t* bytes) { return *bytes = program->library.size(), NVRTC_SUCCESS; }

nvrtcResult nvrtcGetCUBIN(Program* program, char* cubin) { return program->library.copy(cubin, program->library.size()), NVRTC_SUCCESS; }

nvrtcResult nvrtcGetPTXSize(Program* program, size_t* bytes) { return nvrtcGetCUBINSize(program, bytes); }

nvrtcResult nvrtcGetPTX(Program* program, char* ptx) { return nvrtcGetCUBIN(program, ptx); }

const char* nvrtcGetErrorString(nvrtcResult result) { return result == NVRTC_SUCCESS ? "NVRTC_SUCCESS" : "NVRTC_ERROR_COMPILATION"; }

}  // extern "C"
