return await NpmMirror.Cli.CommandLine.RunAsync(args);
