using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Pages;
using NpmMirror.Page.Assets;
using NpmMirror.Page.Comparing;
using NpmMirror.Page.Packages;
using NpmMirror.Page.Setup;
using NpmMirror.Page.Sources;
using NpmMirror.Page.State;
using RazorSlices;

namespace NpmMirror.Page;

/// <summary>Hands each request to the page that it asks for.</summary>
internal sealed class RegistryPage : IRegistryPage, IDisposable
{
    private const int ClientsShown = 15;

    private readonly PageParts _parts;
    private readonly StateReader _state;
    private readonly RecentTakedowns _takedowns;
    private readonly LiveStates _live;
    private readonly RetryForm _retry;
    private readonly PageWriter _writer;
    private readonly BrowsePages _browse;
    private readonly PackagePages _packages;
    private readonly SourceReader _reader;
    private readonly SourcePages _sources;
    private readonly ComparePages _compare;

    internal RegistryPage(PageParts parts)
    {
        var mirror = parts.Mirror;
        _parts = parts;
        _writer = new PageWriter(mirror.Time);
        _state = new StateReader(mirror);
        _takedowns = new RecentTakedowns(mirror);
        _live = new LiveStates(_state, () => mirror.Queue.InFlight > 0 || mirror.Tarballs.Underway > 0, MirrorList.IdOf(mirror), parts.Lifetime, mirror.Time);
        _browse = new BrowsePages(mirror);
        _reader = new SourceReader(mirror);
        var packages = new PackageReader(mirror);
        _packages = new PackagePages(mirror, packages);
        _sources = new SourcePages(packages, _reader);
        _compare = new ComparePages(mirror, packages, _reader);
        _retry = new RetryForm(mirror, parts.Admin);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _reader.Dispose();
        _takedowns.Dispose();
        _state.Dispose();
    }

    /// <inheritdoc/>
    public async Task HandleAsync(HttpContext context, PageRequest request)
    {
        try
        {
            await (request.Path switch
            {
                [] => StateAsync(context, request),
                ["packages"] => BrowseAsync(context, request),
                ["package", _, ..] => PackageAsync(context, request),
                ["setup"] => _writer.WriteAsync(context, Templates.Setup(new SetupModel(new PageFrame("Set up", request.Up, "setup", request.Registry), Snippet.For(request.Registry)))),
                ["retry"] => RetryAsync(context, request),
                ["assets", var file] => AssetAsync(context, request, file),
                ["api", "mirrors"] => Shared(context, () => MirrorList.WriteAsync(context, _parts.Mirror, request.Registry)),
                ["api", "sse"] => Shared(context, () => _live.HandleAsync(context)),
                ["api", "events"] => _parts.Events.HandleAsync(context),
                _ => NotFoundAsync(context, request, "There is no such page."),
            });
        }
        catch (MirrorException failure) when (!context.Response.HasStarted && request.Path is not ["api", ..])
        {
            await MessageAsync(context, request, StatusCodes.Status503ServiceUnavailable, "This page cannot be shown now", Words.Plain(failure.Message));
        }
    }

    private async Task StateAsync(HttpContext context, PageRequest request)
    {
        var state = await _state.FindAsync(context.RequestAborted);
        var frame = new PageFrame("State", request.Up, "", request.Registry);
        await _writer.WriteAsync(context, Templates.State(new StateModel(frame, state, _takedowns.Find(), _parts.Clients.Largest(ClientsShown), Chart.Of(_state.Hours.Hours), _parts.Admin.HasToken)));
    }

    private async Task BrowseAsync(HttpContext context, PageRequest request) => await _writer.WriteAsync(context, Templates.Browse(await _browse.FindAsync(context, request)));

    private async Task PackageAsync(HttpContext context, PageRequest request)
    {
        var (name, rest) = NameIn(request.Path);
        var (status, page) = await (name is not { } package ? NoPageAsync(request, "The path holds no package's name.") : rest switch
        {
            [] => _packages.FindAsync(context, request, package, null),
            ["v", var version] => _packages.FindAsync(context, request, package, version),
            ["v", var version, "files", .. var path] => _sources.FindAsync(context, request, package, version, string.Join('/', path)),
            ["compare"] => _compare.FindAsync(context, request, package),
            _ => NoPageAsync(request, "There is no such page of a package."),
        });
        context.Response.StatusCode = status;
        await _writer.WriteAsync(context, page);
    }

    /// <summary>The package that a path names, and what comes after. A scope is a segment of its own, or its slash is encoded.</summary>
    private static (PackageName? Name, string[] After) NameIn(IReadOnlyList<string> segments)
    {
        string[] path = [.. segments];
        var (text, rest) = path is [_, ['@', ..] scope, var bare, .. var more] && !scope.Contains('/', StringComparison.Ordinal) ? ($"{scope}/{bare}", more) : (path[1], path[2..]);
        return (PackageName.TryParse(text, out var name) ? name : null, rest);
    }

    private static Task<(int Status, RazorSlice Page)> NoPageAsync(PageRequest request, string reason) =>
        Task.FromResult((StatusCodes.Status404NotFound, Templates.Message(new MessageModel(new PageFrame("Not found", request.Up, null, request.Registry), reason))));

    private async Task RetryAsync(HttpContext context, PageRequest request)
    {
        if (await _retry.TakeAsync(context, request) is var (status, problem))
        {
            await MessageAsync(context, request, status, "Nothing was queued", problem);
            return;
        }

        // Loading the page again sends no form again.
        context.Response.StatusCode = StatusCodes.Status303SeeOther;
        context.Response.Headers.Location = request.Up;
    }

    private Task AssetAsync(HttpContext context, PageRequest request, string file) => AssetOrNotAsync(context, request, PageAssets.TryWriteAsync(context, file));

    private async Task AssetOrNotAsync(HttpContext context, PageRequest request, Task<bool> writing)
    {
        if (!await writing)
        {
            await NotFoundAsync(context, request, "There is no such file; another version of this program may have had it. Load the page again.");
        }
    }

    /// <summary>The state interface may be read by pages of other sites where an operator says so.</summary>
    private Task Shared(HttpContext context, Func<Task> write)
    {
        if (_parts.Mirror.Options.CrossOrigin == Options.CrossOriginMode.Always)
        {
            _parts.CrossOrigin.Write(context.Response.Headers);
        }

        return write();
    }

    private Task NotFoundAsync(HttpContext context, PageRequest request, string reason) => MessageAsync(context, request, StatusCodes.Status404NotFound, "Not found", reason);

    private Task MessageAsync(HttpContext context, PageRequest request, int status, string title, string message)
    {
        context.Response.StatusCode = status;
        return _writer.WriteAsync(context, Templates.Message(new MessageModel(new PageFrame(title, request.Up, null, request.Registry), message)));
    }
}
