using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>The programs for GPUs, compiled by NVIDIA's compiler, which needs no GPU.</summary>
public class CudaCompilerTests
{
    public static TheoryData<int, string> Programs()
    {
        var all = new TheoryData<int, string>();
        foreach (int architecture in new[] { 80, 90 })
        {
            foreach (string name in s_programs.Keys)
                all.Add(architecture, name);
        }
        return all;
    }

    private static readonly Dictionary<string, CudaProgram> s_programs = new()
    {
        ["attention of heads of 17"] = CudaEvoAttention.ProgramFor(3, new(17, 4, 4), float32),
        ["attention of heads of 64"] = CudaEvoAttention.ProgramFor(8, new(64, 4, 4), float32),
        ["attention of heads of 128 in bfloat16"] = CudaEvoAttention.ProgramFor(2, new(128, 2, 4), bfloat16),
        ["attention of heads of 256"] = CudaEvoAttention.ProgramFor(1, new(256, 1, 2), float32),
        ["RmsNorm"] = CudaRmsNorm.ProgramFor(256, float32, float32),
        ["RmsNorm to bfloat16"] = CudaRmsNorm.ProgramFor(96, float32, bfloat16),
        ["SwiGlu"] = CudaSwiGlu.ProgramFor(float32),
        ["SwiGlu in bfloat16"] = CudaSwiGlu.ProgramFor(bfloat16),
        ["dropout"] = DropoutFunction.ProgramFor(float32),
        ["dropout in bfloat16"] = DropoutFunction.ProgramFor(bfloat16),
        ["row-wise AdamW"] = CudaRowwiseOptimizer.ProgramFor(new RowwiseAdamW(new AdamWRule(0.9, 0.99, 1e-8), 0), 16),
        ["row-wise Adagrad"] = CudaRowwiseOptimizer.ProgramFor(new RowwiseAdagrad(0), 50),
        ["AdamW"] = CudaAdamW.Program,
    };

    [SkippableTheory]
    [MemberData(nameof(Programs))]
    public void Every_program_compiles_to_machine_code(int architecture, string program)
    {
        byte[] image = s_programs[program].Compile(Compiler(), architecture);
        Assert.Equal("\u007fELF"u8.ToArray(), image[..4]);
    }

    [SkippableFact]
    public void For_an_architecture_newer_than_the_compiler_a_program_becomes_PTX_for_the_driver()
    {
        byte[] image = s_programs["attention of heads of 64"].Compile(Compiler(), 9_999);
        Assert.Contains(".visible .entry attend(", System.Text.Encoding.ASCII.GetString(image));
    }

    [SkippableFact]
    public void What_does_not_compile_is_told_with_the_compilers_own_words()
    {
        string message = Assert.Throws<InvalidOperationException>(() => Compiler().Compile("KERNEL", "broken.cu", 80, [])).Message;
        Assert.StartsWith("broken.cu does not compile for sm_80", message);
        Assert.Contains("broken.cu(1): error", message);
    }

    private static CudaCompiler Compiler()
    {
        try
        {
            return CudaKernels.LoadCompiler(architecture: 80);
        }
        catch (DllNotFoundException missing)
        {
            throw new SkipException(missing.Message);
        }
    }
}
