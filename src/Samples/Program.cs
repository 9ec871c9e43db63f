using System.Net.Sockets;
using SparseCtr.Samples;

// usage: Samples train [--data FOLDER | --users N] [--model ctr.zip] [--seed N] [--trainer NAME] [--set OPTION=NUMBER]...
//        Samples score [--data FOLDER | --users N] [--model ctr.zip]
//        Samples sweep [--data FOLDER | --users N] [--model ctr.zip] [--seed N] [--trainer NAME] [--set OPTION=NUMBER]... [--trials N] [--folder FOLDER]
//        Samples serve [--data FOLDER | --users N] [--model ctr.zip] [--host ADDRESS] [--port N] [--cache MEGABYTES], and those of train, for when the model is not there
try
{
    DemoArguments arguments = DemoArguments.Parse(args);
    switch (arguments.Command)
    {
        case "train":
            Demo.Train(arguments);
            return 0;
        case "score":
            Demo.Score(arguments);
            return 0;
        case "sweep":
            SweepDemo.Run(arguments);
            return 0;
        case "serve":
            await ServeDemo.RunAsync(arguments);
            return 0;
        default:
            throw new ArgumentException($"'{arguments.Command}' is no command: use train, score, sweep or serve.");
    }
}
catch (Exception problem) when (problem is ArgumentException or IOException or FormatException or InvalidOperationException or UnauthorizedAccessException or SocketException)
{
    Console.Error.WriteLine($"error: {problem.Message}");
    return 1;
}
