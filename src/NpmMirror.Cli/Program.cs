NpmMirror.Cli.NativeHeap.Trim();
return await NpmMirror.Cli.CommandLine.RunAsync(args);
