using System.Runtime.CompilerServices;
using NpmMirror.Storage;
using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>The classic keys of packages that have no row: packuments of the tool of 2012.</summary>
internal sealed class RedisEarlier(RedisSession session) : IEarlierDocuments
{
    private const int PageMax = 64;

    /// <inheritdoc/>
    public async IAsyncEnumerable<EarlierDocument> ListAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (await session.RunAsync(database => database.KeyExistsAsync(session.Keys.TakenOver, RedisSession.Flags), cancellationToken))
        {
            yield break;
        }

        foreach (var server in session.Masters)
        {
            // Held packages first: a package that was published again has both keys.
            foreach (var isRemoved in (bool[])[false, true])
            {
                var begin = session.Keys.Begin(isRemoved);
                await foreach (var page in PagesAsync(server, begin, cancellationToken))
                {
                    foreach (var document in await ReadAsync(page, begin, isRemoved, cancellationToken))
                    {
                        yield return document;
                    }
                }
            }
        }
    }

    /// <inheritdoc/>
    public async ValueTask CompleteAsync(CancellationToken cancellationToken) =>
        await session.RunAsync(database => database.StringSetAsync(session.Keys.TakenOver, 1, flags: RedisSession.Flags), cancellationToken);

    private async IAsyncEnumerable<List<string>> PagesAsync(IServer server, string begin, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var page = new List<string>();
        await using var keys = server.KeysAsync(session.Address.Database, $"{Literal(begin)}*", 1000, flags: RedisSession.Flags).GetAsyncEnumerator(cancellationToken);
        while (await session.RunAsync(_ => keys.MoveNextAsync().AsTask(), cancellationToken))
        {
            page.Add((string)keys.Current!);
            if (page.Count == PageMax)
            {
                yield return page;
                page = [];
            }
        }

        yield return page;
    }

    private async Task<IEnumerable<EarlierDocument>> ReadAsync(List<string> page, string begin, bool isRemoved, CancellationToken cancellationToken)
    {
        var names = page.Select(key => PackageName.TryParse(key[begin.Length..], out var name) ? name : default).Where(name => name != default).ToList();
        var hasRow = await session.RunAsync(database => Task.WhenAll(names.Select(name => database.KeyExistsAsync(session.Keys.Of(name).Row, RedisSession.Flags))), cancellationToken);
        var earlier = names.Zip(hasRow).Where(pair => !pair.Second).Select(pair => pair.First).ToList();
        var documents = await session.RunAsync(
            database => Task.WhenAll(earlier.Select(name => database.StringGetAsync(isRemoved ? session.Keys.Tombstone(name) : session.Keys.Of(name).Module, RedisSession.Flags))),
            cancellationToken);
        return earlier.Zip(documents).Where(pair => !pair.Second.IsNull).Select(pair => new EarlierDocument(pair.First, (byte[])pair.Second!, isRemoved));
    }

    // The characters that a pattern would read otherwise.
    private static string Literal(string text) => string.Concat(text.Select(c => c is '*' or '?' or '[' or ']' or '\\' or '^' ? $"\\{c}" : $"{c}"));
}
