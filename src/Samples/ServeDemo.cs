using System.Diagnostics;

namespace SparseCtr.Samples;

/// <summary>Serves the model over HTTP, until SIGTERM or Ctrl+C.</summary>
internal static class ServeDemo
{
    public static async Task RunAsync(DemoArguments arguments)
    {
        if (!File.Exists(arguments.ModelPath))
        {
            // In another process, because this one needs no libtorch.
            Console.WriteLine($"{arguments.ModelPath} is not there: training it first");
            using Process training = Demo.Start(arguments.ForTraining());
            await training.WaitForExitAsync();
            if (training.ExitCode != 0)
                throw new InvalidOperationException($"The training ended with exit code {training.ExitCode}.");
        }
        var options = new ServiceOptions(arguments.ModelPath, arguments.Host, arguments.Port, arguments.CacheMegabytes * 1_000_000L);
        await using WebService service = await WebService.StartAsync(Demo.Load(arguments), options);
        Console.WriteLine($"serving {arguments.ModelPath} at {service.Address}; Ctrl+C ends it");
        await service.WaitForShutdownAsync();
        Console.WriteLine("all requests are answered; stopped");
    }
}
