namespace Microsoft.ML.Runtime;

/// <summary>What components read of their environment, beside what is public.</summary>
internal interface IHostEnvironmentInternal : IHostEnvironment
{
    int? Seed { get; }

    int? GpuDeviceId { get; set; }

    bool FallbackToCpu { get; set; }

    string TempFilePath { get; set; }
}

/// <summary>Work that can be told to stop; it cannot be told to go on again.</summary>
internal interface ICancelable
{
    bool IsCanceled { get; }

    void CancelExecution();
}
