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
#include <memory>
#include <regex>
#include <string>
#include <vector>

#include "execution.h"

namespace {

namespace files = std::filesystem;

// --- errors ---

enum Result {
  success = 0,
  invalid_value = 1,
  not_initialized = 3,
  invalid_image = 200,
  invalid_context = 201,
  not_found = 500,
  launch_out_of_resources = 701,
  launch_failed = 719
};

// What the calling thread's last failure was about, which a real driver's messages do not say.
thread_local Result failed = success;
thread_local std::string failure;

Result fail(Result result, const std::string& message) {
  failed = result;
  failure = message;
  return result;
}

// --- modules ---

struct Function {
  std::string name;
  const emulator::Kernel* kernel;
  const struct Module* module;
  unsigned max_shared_bytes = 48 * 1024;
};

struct Module {
  void* library;
  size_t tls;  // the dynamic linker's number for the library's thread_local variables; 0 where there are none
  size_t static_shared_bytes;
  std::map<std::string, Function> functions;
};

extern "C" void* __tls_get_addr(size_t (*module_and_offset)[2]);

void* static_shared(const Module& module) {
  size_t start[2] = {module.tls, 0};
  return module.tls == 0 ? nullptr : __tls_get_addr(&start);
}

int find_static_shared_bytes(dl_phdr_info* info, size_t, void* context) {
  Module& module = *static_cast<Module*>(context);
  if (info->dlpi_tls_modid != module.tls) return 0;
  for (int i = 0; i < info->dlpi_phnum; i++)
    if (info->dlpi_phdr[i].p_type == PT_TLS) module.static_shared_bytes = info->dlpi_phdr[i].p_memsz;
  return 1;
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
  std::string name;
  std::map<std::string, std::string> sources;  // file name -> text
  std::string log, library;
};

constexpr const char* main_source = "kernel.cu";

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
  for (const auto& [name, text] : program.sources)
    std::ofstream(folder.file(name)) << "#line 1 \"" << (name == main_source ? program.name : name) << "\"\n" << with_shared_memory(text);
  const std::string library = folder.file("kernel.so"), header = files::path(__FILE__).replace_filename("device.h");
  std::string command = "LC_ALL=C c++ -std=c++17 -O2 -g -march=native -ffp-contract=fast -fno-math-errno -shared -fPIC"
                        " -fsanitize=alignment,bounds -nodefaultlibs -x c++ -include " + quoted(header);
  for (const std::string& definition : definitions) command += " " + quoted(definition);
  command += " " + quoted(folder.file(main_source)) + " -x none " + quoted(path_of_this_library()) + " -lm -lc -o " + quoted(library) + " 2>&1";

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

Result cuInit(unsigned) {
  initialized = true;
  return success;
}

Result cuDeviceGet(int* device, int ordinal) {
  if (!initialized) return fail(not_initialized, "cuInit was not called");
  *device = ordinal;
  return success;
}

Result cuDeviceGetAttribute(int* value, int attribute, int) {
  static const std::map<int, int> values = {
      {16, 16},                                                  // multiprocessors
      {75, 8}, {76, 0},                                          // compute capability
      {97, static_cast<int>(emulator::max_shared_bytes)},        // shared memory per block, opted in
  };
  const auto found = values.find(attribute);
  if (found == values.end()) return fail(invalid_value, "device attribute " + std::to_string(attribute) + " is not emulated");
  *value = found->second;
  return success;
}

Result cuDevicePrimaryCtxRetain(void** context, int) {
  static int primary;
  if (!initialized) return fail(not_initialized, "cuInit was not called");
  *context = &primary;
  return success;
}

Result cuCtxPushCurrent_v2(void* context) {
  contexts.push_back(context);
  return success;
}

Result cuCtxPopCurrent_v2(void** context) {
  if (contexts.empty()) return fail(invalid_context, "no context is current");
  if (context) *context = contexts.back();
  contexts.pop_back();
  return success;
}

Result cuCtxSetCurrent(void* context) {
  if (!contexts.empty()) contexts.pop_back();
  if (context) contexts.push_back(context);
  return success;
}

Result cuModuleLoadData(Module** module, const void* image) {
  if (contexts.empty()) return fail(invalid_context, "no context is current");
  const size_t bytes = library_bytes(image);
  if (bytes == 0) return fail(invalid_image, "the image is not what nvrtcGetCUBIN gave");
  const TemporaryFolder folder;
  const std::string path = folder.file("module.so");
  std::ofstream(path, std::ios::binary).write(static_cast<const char*>(image), bytes);
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) return fail(invalid_image, dlerror());
  *module = new Module{library, 0, 0, {}};
  dlinfo(library, RTLD_DI_TLS_MODID, &(*module)->tls);
  if ((*module)->tls != 0) dl_iterate_phdr(find_static_shared_bytes, *module);
  return success;
}

Result cuModuleUnload(Module* module) {
  dlclose(module->library);
  delete module;
  return success;
}

Result cuModuleGetFunction(Function** function, Module* module, const char* name) {
  const void* kernel = dlsym(module->library, (std::string(name) + "_kernel").c_str());
  if (!kernel) return fail(not_found, "the module has no kernel '" + std::string(name) + "'");
  *function = &module->functions.try_emplace(name, Function{name, static_cast<const emulator::Kernel*>(kernel), module}).first->second;
  return success;
}

Result cuFuncSetAttribute(Function* function, int attribute, int value) {
  constexpr int max_dynamic_shared_bytes = 8, preferred_carveout = 9;
  if (attribute == preferred_carveout) return success;
  if (attribute != max_dynamic_shared_bytes) return fail(invalid_value, "function attribute " + std::to_string(attribute) + " is not emulated");
  if (value < 0 || value > static_cast<int>(emulator::max_shared_bytes))
    return fail(invalid_value, std::to_string(value) + " bytes of shared memory are more than a block can have");
  function->max_shared_bytes = value;
  return success;
}

Result cuLaunchKernel(Function* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                      unsigned block_z, unsigned shared_bytes, void*, void** parameters, void**) {
  const std::string kernel = "kernel '" + function->name + "': ";
  if (contexts.empty()) return fail(invalid_context, kernel + "no context is current");
  const uint64_t threads = uint64_t{block_x} * block_y * block_z;
  if (threads == 0 || threads > emulator::max_threads || block_z > 64)
    return fail(invalid_value, kernel + "a block of " + std::to_string(threads) + " threads; 1 to 1024 are possible");
  if (grid_x == 0 || grid_y == 0 || grid_z == 0) return fail(invalid_value, kernel + "a dimension of the grid is 0");
  if (grid_x > 0x7fffffff || grid_y > 65535 || grid_z > 65535) return fail(invalid_value, kernel + "a dimension of the grid is too large");
  if (threads > function->kernel->max_threads)
    return fail(launch_out_of_resources, kernel + "a block of " + std::to_string(threads) + " threads; __launch_bounds__ allows " +
                                             std::to_string(function->kernel->max_threads));
  if (shared_bytes > function->max_shared_bytes)
    return fail(invalid_value, kernel + std::to_string(shared_bytes) + " bytes of dynamic shared memory; cuFuncSetAttribute allowed " +
                                   std::to_string(function->max_shared_bytes));
  const Module& module = *function->module;
  const std::string found = emulator::run({function->kernel, parameters[0], {grid_x, grid_y, grid_z}, {block_x, block_y, block_z},
                                           shared_bytes, static_shared(module), module.static_shared_bytes});
  return found.empty() ? success : fail(launch_failed, kernel + found);
}

Result cuGetErrorName(Result result, const char** name) {
  static const std::map<int, const char*> names = {
      {success, "CUDA_SUCCESS"},
      {invalid_value, "CUDA_ERROR_INVALID_VALUE"},
      {not_initialized, "CUDA_ERROR_NOT_INITIALIZED"},
      {invalid_image, "CUDA_ERROR_INVALID_IMAGE"},
      {invalid_context, "CUDA_ERROR_INVALID_CONTEXT"},
      {not_found, "CUDA_ERROR_NOT_FOUND"},
      {launch_out_of_resources, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"},
      {launch_failed, "CUDA_ERROR_LAUNCH_FAILED"},
  };
  const auto found = names.find(result);
  *name = found == names.end() ? nullptr : found->second;
  return *name ? success : invalid_value;
}

Result cuGetErrorString(Result result, const char** text) {
  if (result != success && result == failed) *text = failure.c_str();
  else return cuGetErrorName(result, text);
  return success;
}

// --- the run-time compiler ---

enum CompilerResult { compiler_success = 0, compiler_invalid_input = 3, compilation_failed = 6 };

CompilerResult nvrtcVersion(int* major, int* minor) {
  *major = 11;
  *minor = 8;
  return compiler_success;
}

CompilerResult nvrtcGetNumSupportedArchs(int* count) {
  *count = 1;
  return compiler_success;
}

CompilerResult nvrtcGetSupportedArchs(int* architectures) {
  *architectures = 80;
  return compiler_success;
}

CompilerResult nvrtcCreateProgram(Program** program, const char* source, const char* name, int headers, const char* const* header_texts,
                                  const char* const* header_names) {
  *program = new Program{name ? name : "default_program", {{main_source, source}}, "", ""};
  for (int i = 0; i < headers; i++) (*program)->sources[header_names[i]] = header_texts[i];
  return compiler_success;
}

CompilerResult nvrtcDestroyProgram(Program** program) {
  delete *program;
  *program = nullptr;
  return compiler_success;
}

// Only the definitions (-D) of the options say something to a CPU.
CompilerResult nvrtcCompileProgram(Program* program, int count, const char* const* options) {
  std::vector<std::string> definitions;
  for (int i = 0; i < count; i++)
    if (strncmp(options[i], "-D", 2) == 0) definitions.push_back(options[i]);
  return compile(*program, definitions) == 0 ? compiler_success : compilation_failed;
}

CompilerResult nvrtcGetProgramLogSize(Program* program, size_t* bytes) {
  *bytes = program->log.size() + 1;
  return compiler_success;
}

CompilerResult nvrtcGetProgramLog(Program* program, char* log) {
  memcpy(log, program->log.c_str(), program->log.size() + 1);
  return compiler_success;
}

CompilerResult nvrtcGetCUBINSize(Program* program, size_t* bytes) {
  *bytes = program->library.size();
  return compiler_success;
}

CompilerResult nvrtcGetCUBIN(Program* program, char* cubin) {
  memcpy(cubin, program->library.data(), program->library.size());
  return compiler_success;
}

CompilerResult nvrtcGetPTXSize(Program* program, size_t* bytes) { return nvrtcGetCUBINSize(program, bytes); }

CompilerResult nvrtcGetPTX(Program* program, char* ptx) { return nvrtcGetCUBIN(program, ptx); }

const char* nvrtcGetErrorString(CompilerResult result) {
  return result == compiler_success ? "NVRTC_SUCCESS" : result == compilation_failed ? "NVRTC_ERROR_COMPILATION" : "NVRTC_ERROR_INVALID_INPUT";
}

}  // extern "C"
