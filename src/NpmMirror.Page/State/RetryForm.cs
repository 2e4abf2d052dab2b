using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using NpmMirror.AspNetCore.Operations;
using NpmMirror.AspNetCore.Pages;
using NpmMirror.Hosting;
using NpmMirror.Storage;

namespace NpmMirror.Page.State;

/// <summary>Takes the form that has a package fetched now: from an administrator, and from a page of this mirror only.</summary>
internal sealed class RetryForm(Mirror mirror, AdminAccess admin)
{
    private const int BodyMaxBytes = 4 * 1024;

    private static readonly TimeSpan BodyWithin = TimeSpan.FromSeconds(10);

    /// <summary>The problem, with its status; or null, and the package is queued.</summary>
    internal async Task<(int Status, string Problem)?> TakeAsync(HttpContext context, PageRequest request)
    {
        if (!IsFromOwnPage(context, request))
        {
            return (StatusCodes.Status403Forbidden, "This form was sent by a page of another site, or by a browser that does not tell; open the state page and use its button.");
        }

        if (await ReadAsync(context) is not { } form || !PackageName.TryParse(form["package"].ToString(), out var name))
        {
            return (StatusCodes.Status400BadRequest, "The form names no package.");
        }

        if (admin.RefusalOfForm(context, form["token"].ToString()) is { } refusal)
        {
            return (StatusCodes.Status403Forbidden, refusal);
        }

        if (mirror.Options.Offline)
        {
            return (StatusCodes.Status503ServiceUnavailable, "This mirror is offline and asks nothing upstream.");
        }

        var now = mirror.Time.GetUtcNow();
        await mirror.Queue.EnqueueAsync([new QueueItem { Name = name, Priority = QueuePriority.Demand, DueAt = now, QueuedAt = now }], null, context.RequestAborted);
        return null;
    }

    /// <summary>
    /// Whether the browser says that a page of this mirror sent it. Nobody else can make a browser say so. The host was compared with the mirror's names before, so that another
    /// name that was made to resolve to this machine is none.
    /// </summary>
    private static bool IsFromOwnPage(HttpContext context, PageRequest request)
    {
        var headers = context.Request.Headers;
        if (headers.TryGetValue("Sec-Fetch-Site", out var site) && site.ToString() != "same-origin")
        {
            return false;
        }

        return headers.Origin.ToString() is { Length: > 0 } origin && Uri.TryCreate(origin, UriKind.Absolute, out var from)
            && (from.Authority.Equals(headers.Host.ToString(), StringComparison.OrdinalIgnoreCase) || (Uri.TryCreate(request.Registry, UriKind.Absolute, out var own) && from.Authority == own.Authority && from.Scheme == own.Scheme));
    }

    private async Task<IFormCollection?> ReadAsync(HttpContext context)
    {
        if (!context.Request.HasFormContentType || context.Request.ContentLength is null or > BodyMaxBytes)
        {
            return null;
        }

        using var deadline = new CancellationTokenSource(BodyWithin, mirror.Time);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, context.RequestAborted);
        try
        {
            return await new FormFeature(context.Request, new FormOptions { BufferBodyLengthLimit = BodyMaxBytes, ValueCountLimit = 8, KeyLengthLimit = 64, ValueLengthLimit = BodyMaxBytes, MultipartBodyLengthLimit = BodyMaxBytes }).ReadFormAsync(ending.Token);
        }
        catch (Exception e) when (e is InvalidDataException or IOException or BadHttpRequestException || (e is OperationCanceledException && deadline.IsCancellationRequested))
        {
            return null;
        }
    }
}
