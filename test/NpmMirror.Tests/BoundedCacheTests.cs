namespace NpmMirror.Tests;

public sealed class BoundedCacheTests
{
    [Claim("A memory with a limit keeps the entries used last, never more than twice its limit, and none that was removed",
        With =
        [
            nameof(Forgets_a_removed_key_in_either_generation),
            nameof(An_entry_carried_over_during_its_removal_stays_removed),
            nameof(An_entry_is_found_by_another_form_of_its_key_in_either_generation),
        ])]
    [Fact]
    public void Remembers_the_last_used_and_never_more_than_twice_the_minimum()
    {
        var cache = new BoundedCache<int, string>("test", 10);
        for (var i = 0; i < 1_000; i++)
        {
            cache.Set(i, $"{i}");
            Assert.True(cache.TryGet(0, out _), "What is used all the time stays.");
        }

        Assert.InRange(Enumerable.Range(0, 1_000).Count(key => cache.TryGet(key, out _)), 10, 20);
    }

    [Fact]
    public void Forgets_a_removed_key_in_either_generation()
    {
        var cache = new BoundedCache<int, string>("test", 2);
        for (var i = 0; i < 4; i++)
        {
            cache.Set(i, $"{i}");
        }

        for (var i = 0; i < 4; i++)
        {
            cache.Remove(i);
            Assert.False(cache.TryGet(i, out _));
        }
    }

    [Fact]
    public void The_newest_value_of_a_key_counts()
    {
        var cache = new BoundedCache<int, string>("test", 1);
        cache.Set(1, "old");
        cache.Set(2, "other");
        cache.Set(1, "new");
        Assert.True(cache.TryGet(1, out var value));
        Assert.Equal("new", value);
    }

    [Fact]
    public void An_entry_is_found_by_another_form_of_its_key_in_either_generation()
    {
        var cache = new BoundedCache<string, int>("test", 2, StringComparer.Ordinal);
        cache.Set("one", 1);
        cache.Set("two", 2);
        cache.Set("three", 3);
        Assert.True(cache.TryGet("two".AsSpan(), out var old) && old == 2);
        Assert.True(cache.TryGet("three".AsSpan(), out var young) && young == 3);
        Assert.False(cache.TryGet("four".AsSpan(), out _));
    }

    [Fact]
    public void An_entry_carried_over_during_its_removal_stays_removed()
    {
        var cache = new BoundedCache<int, int>("test", 4);
        for (var round = 0; round < 2_000; round++)
        {
            for (var key = 0; key < 5; key++)
            {
                cache.Set(key, round);
            }

            // Zero is old now: reading carries it over.
            Parallel.Invoke(() => cache.TryGet(0, out _), () => cache.Remove(0));
            Assert.False(cache.TryGet(0, out _));
            Assert.Equal(Enumerable.Range(0, 5).Count(key => cache.TryGet(key, out _)), cache.Count);
        }
    }
}
