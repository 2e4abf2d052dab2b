using System.CommandLine;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using NpmMirror.AspNetCore;
using NpmMirror.Cli.Settings;
using NpmMirror.Feeds;
using NpmMirror.Hosting;
using NpmMirror.Options;
using NpmMirror.Page;
using NpmMirror.Search;

namespace NpmMirror.Cli.Commands;

/// <summary><c>npm-mirror serve</c>: follow, store and serve.</summary>
internal static class ServeCommand
{
    /// <summary>The command.</summary>
    public static Command Create(IReadOnlyList<string> flags)
    {
        var command = new Command("serve", "Follow the upstream, keep what is wanted and serve it to npm clients");
        command.SetAction((_, cancellationToken) => CommandRun.RunAsync(flags, settings => RunAsync(settings, cancellationToken)));
        return command;
    }

    private static async Task<int> RunAsync(EffectiveSettings settings, CancellationToken cancellationToken)
    {
        var options = settings.Options;
        _ = OpenFileLimit.ClientsMax(OpenFileLimit.Read(), options.Concurrency);
        CheckListenable(options);
        await using var application = Build(options);
        application.UseNpmRegistry(options.Mount);
        try
        {
            await application.StartAsync(cancellationToken);
        }
        catch (Exception failure) when (failure is IOException or SocketException)
        {
            throw new MirrorException(MirrorFault.Configuration, CannotListen(options, failure), inner: failure);
        }

        var mirror = application.Services.GetRequiredService<Mirror>();
        var address = new Uri(application.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
        StandardOutput.Announce($"Serving {ReachLine.ForThisMachine(address)}{options.Mount.TrimEnd('/')}/ from {Masked.Address(mirror.Upstream.BaseUrl.AbsoluteUri)}, kept in {mirror.Store.Location}");
        StandardOutput.Announce(ReachLine.Describe(address, options));
        // Only now could it hear from itself, under any name of the upstream.
        try
        {
            await UpstreamSelfCheck.CheckAsync(mirror.Upstream, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Asked to end this early: it ends in the usual way.
        }

        await application.WaitForShutdownAsync(cancellationToken);

        // Ended without a request: one of its services met an unexpected error, and has logged it.
        return cancellationToken.IsCancellationRequested ? ExitCode.Ok : ExitCode.Failed;
    }

    private static WebApplication Build(MirrorOptions options)
    {
        // An empty builder: no appsettings.json of some other folder, no ASPNETCORE_URLS; our options are the only ones.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        Setup.ConfigureHost(builder.Services, builder.Logging, options);
        builder.WebHost.UseKestrelCore().UseUrls(options.Listen).ConfigureKestrel(kestrel => kestrel.UseNpmRegistryLimits()).UseNpmRegistryConnections();
        builder.Services.AddNpmMirror(options).UseEngines().UseSqliteSearch();
        builder.Services.AddNpmMirrorPage();
        return builder.Build();
    }

    /// <summary>Tries the address before anything is opened or written; if another program takes it in between, the server itself tells that.</summary>
    private static void CheckListenable(MirrorOptions options)
    {
        var address = BindingAddress.Parse(options.Listen);
        var ip = address.Host == "localhost" ? IPAddress.Loopback : IPAddress.TryParse(address.Host.Trim('[', ']'), out var parsed) ? parsed : IPAddress.IPv6Any;
        try
        {
            using var socket = new Socket(ip.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(ip, address.Port));
            socket.Listen(1);
        }
        catch (SocketException failure)
        {
            throw new MirrorException(MirrorFault.Configuration, CannotListen(options, failure), inner: failure);
        }
    }

    private static string CannotListen(MirrorOptions options, Exception failure)
    {
        var isBusy = Causes(failure).Any(cause => cause is AddressInUseException or SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse });
        return isBusy
            ? $"Port {OwnAddress.ListenPort(options)} is in use by another program; end that one, or choose another address with listen (now {options.Listen})."
            : $"Cannot listen on {options.Listen}: {failure.Message.TrimEnd('.')}; choose another address with listen.";
    }

    private static IEnumerable<Exception> Causes(Exception failure) =>
        [failure, .. failure is AggregateException many ? many.InnerExceptions.SelectMany(Causes) : failure.InnerException is { } inner ? Causes(inner) : []];
}
