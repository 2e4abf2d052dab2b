using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace NpmMirror.AspNetCore.Answers;

/// <summary>Reads a client's JSON body: whole, of bounded length, depth and time, in the budget that all bodies share.</summary>
internal sealed class AskedBody(ByteBudget budget, TimeProvider time)
{
    /// <summary>How many documents one request may name.</summary>
    internal const int IdsMax = 10_000;

    private const int MaxBytes = 4 * 1024 * 1024;
    private const int DepthMax = 32;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>The result of <paramref name="read"/> for the body, which is null if it is empty; null if the request was answered already.</summary>
    /// <exception cref="MirrorException">The body is not JSON, or not of the form that the request needs.</exception>
    internal async Task<T?> ReadAsync<T>(HttpContext context, Func<JsonElement?, T> read)
        where T : class
    {
        if (context.Request.Headers.ContentEncoding.ToString() is not ("" or "identity"))
        {
            context.Response.Headers.AcceptEncoding = "identity";
            await RegistryErrors.WriteAsync(context, StatusCodes.Status415UnsupportedMediaType, "The body's Content-Encoding is not understood; send it plain.");
            return null;
        }

        using var deadline = new CancellationTokenSource(Patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, context.RequestAborted);
        try
        {
            using var document = await RawDocument.ReadAsync(context.Request.Body, budget, MaxBytes, BudgetUse.Serving, either.Token);
            if (document is not null)
            {
                return Parse(document, read);
            }

            await RegistryErrors.WriteAsync(context, StatusCodes.Status413PayloadTooLarge, $"The body is longer than {MaxBytes} bytes; ask for fewer documents at once.");
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested && !context.RequestAborted.IsCancellationRequested)
        {
            await RegistryErrors.WriteAsync(context, StatusCodes.Status503ServiceUnavailable, "The body did not arrive in time, or there was no memory for it; ask again.", Patience);
        }

        return null;
    }

    /// <summary>A list of ids.</summary>
    /// <exception cref="MirrorException">It is another thing, or too long.</exception>
    internal static IReadOnlyList<string> Ids(JsonElement list, string name) =>
        list.ValueKind == JsonValueKind.Array && list.GetArrayLength() <= IdsMax && list.EnumerateArray().All(id => id.ValueKind == JsonValueKind.String)
            ? [.. list.EnumerateArray().Select(Text)]
            : throw Refused($"{name} must be a JSON array of at most {IdsMax} strings.");

    /// <summary>The text of a JSON string.</summary>
    /// <exception cref="MirrorException">It is no Unicode.</exception>
    internal static string Text(JsonElement text)
    {
        try
        {
            return text.GetString() ?? "";
        }
        catch (InvalidOperationException)
        {
            // Half of a surrogate pair.
            throw Refused("A text of the request is not valid Unicode.");
        }
    }

    /// <summary>The failure of a request that cannot be served, with its fault.</summary>
    internal static MirrorException Refused(string fault) => new(MirrorFault.BadInput, fault);

    private static T Parse<T>(RawDocument document, Func<JsonElement?, T> read)
    {
        if (document.Bytes.Trim(" \t\r\n"u8).IsEmpty)
        {
            return read(null);
        }

        try
        {
            using var json = JsonDocument.Parse(document.BytesMemory, new JsonDocumentOptions { MaxDepth = DepthMax });
            return read(json.RootElement);
        }
        catch (JsonException)
        {
            throw Refused($"The body is not JSON, or is deeper than {DepthMax} levels.");
        }
    }
}
