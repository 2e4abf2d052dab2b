using System.CommandLine;
using NpmMirror.Cli.Settings;
using NpmMirror.Hosting;

namespace NpmMirror.Cli.Commands;

/// <summary><c>npm-mirror mirror</c>: follow and store, without serving.</summary>
internal static class MirrorCommand
{
    /// <summary>The command.</summary>
    public static Command Create(IReadOnlyList<string> flags)
    {
        var command = new Command("mirror", "Follow the upstream and keep what is wanted, without serving it");
        command.SetAction((_, cancellationToken) => CommandRun.RunAsync(flags, settings => RunAsync(settings, cancellationToken)));
        return command;
    }

    private static async Task<int> RunAsync(EffectiveSettings settings, CancellationToken cancellationToken)
    {
        var options = settings.Options;
        Setup.RequireOnline(options, "mirror");
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        Setup.ConfigureHost(builder.Services, builder.Logging, options);
        builder.Services.AddNpmMirror(options).UseEngines();
        using var host = builder.Build();
        await host.StartAsync(cancellationToken);
        var mirror = host.Services.GetRequiredService<Mirror>();
        StandardOutput.Announce($"Mirroring {Masked.Address(mirror.Upstream.BaseUrl.AbsoluteUri)} into {mirror.Store.Location}");
        await host.WaitForShutdownAsync(cancellationToken);

        // Ended without a request: one of its services met an unexpected error, and has logged it.
        return cancellationToken.IsCancellationRequested ? ExitCode.Ok : ExitCode.Failed;
    }
}
