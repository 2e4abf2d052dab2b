using System.Runtime.CompilerServices;

namespace NpmMirror.Copying;

/// <summary>Two lists in the same order, walked side by side: each item of either once, beside its namesake of the other.</summary>
internal static class MergedLists
{
    internal static async IAsyncEnumerable<(T? Source, T? Target)> WalkAsync<T>(IAsyncEnumerable<T> source, IAsyncEnumerable<T> target, Comparison<T> order, [EnumeratorCancellation] CancellationToken cancellationToken)
        where T : class
    {
        await using var left = source.GetAsyncEnumerator(cancellationToken);
        await using var right = target.GetAsyncEnumerator(cancellationToken);
        var (one, other) = (await NextAsync(left), await NextAsync(right));
        while (one is not null || other is not null)
        {
            var compared = one is null ? 1 : other is null ? -1 : order(one, other);
            yield return (compared <= 0 ? one : null, compared >= 0 ? other : null);
            one = compared <= 0 ? await NextAsync(left) : one;
            other = compared >= 0 ? await NextAsync(right) : other;
        }
    }

    private static async ValueTask<T?> NextAsync<T>(IAsyncEnumerator<T> items)
        where T : class => await items.MoveNextAsync() ? items.Current : null;
}
