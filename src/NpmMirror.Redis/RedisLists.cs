using System.Runtime.CompilerServices;
using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>Ordered lists: sorted sets with the score 0 for all members, which then lie by their bytes.</summary>
internal static class RedisLists
{
    /// <summary>The smallest text that is greater than this one.</summary>
    internal static string After(string text) => $"{text}\0";

    /// <summary>Members from a text on, while they begin with a prefix, page by page.</summary>
    internal static async IAsyncEnumerable<List<string>> PagesAsync(RedisSession session, RedisKey list, string from, string prefix, int max, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var first = string.CompareOrdinal(from, prefix) < 0 ? prefix : from;
        while (true)
        {
            var start = first;
            var members = await session.RunAsync(database => database.SortedSetRangeByValueAsync(list, start, RedisValue.Null, Exclude.None, Order.Ascending, 0, max, RedisSession.Flags), cancellationToken);
            var page = new List<string>(members.Length);
            foreach (var member in members)
            {
                var text = (string)member!;
                if (!text.StartsWith(prefix, StringComparison.Ordinal))
                {
                    break;
                }

                page.Add(text);
            }

            if (page.Count > 0)
            {
                yield return page;
            }

            if (page.Count < max)
            {
                yield break;
            }

            first = After(page[^1]);
        }
    }
}
