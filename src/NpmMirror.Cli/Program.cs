
if (NpmMirror.OpenFileLimit.Read() is var limit && limit < NpmMirror.OpenFileLimit.LeastToRun)
{
    // Before anything else: later code could not be loaded.
    Console.Error.WriteLine(NpmMirror.OpenFileLimit.TooSmall(limit, NpmMirror.OpenFileLimit.LeastToRun));
    return NpmMirror.Cli.ExitCode.Usage;
}

NpmMirror.Cli.NativeHeap.Trim();
return await NpmMirror.Cli.CommandLine.RunAsync(args);
