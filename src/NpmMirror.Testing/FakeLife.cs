using System.Globalization;
using System.Text.Json.Nodes;

namespace NpmMirror.Testing;

/// <summary>
/// The changes that people make in a registry, by a seed: they publish, deprecate, tag, change owners, unpublish versions and packages, packages are taken
/// down, deleted, republished and appear. One change at a time; the same seed makes the same changes.
/// </summary>
public sealed class FakeLife(FakeRegistry registry, int seed, int packagesMax = 200) : IDisposable
{
    /// <summary>Below this lies <see cref="ChangesPerSecond"/>.</summary>
    public const int ChangesPerSecondMax = 1_000;

    private const int VersionsMax = 8;

    // Reproducible on purpose: not for secrets.
#pragma warning disable CA5394
    private readonly Lock _lock = new();
    private readonly Random _random = new(seed);
    private readonly List<string> _names = [.. registry.Names];
    private int _numbers;
    private ITimer? _timer;

    /// <summary>How many changes happen by themselves, on the registry's clock; 0, the default: none.</summary>
    public double ChangesPerSecond
    {
        get;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(value, ChangesPerSecondMax);
            lock (_lock)
            {
                field = value;
                _timer ??= registry.Time.CreateTimer(_ => ChangeIfWanted(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
                var every = value == 0 ? Timeout.InfiniteTimeSpan : TimeSpan.FromSeconds(1 / value);
                _timer.Change(every, every);
            }
        }
    }

    /// <summary>Changes made so far.</summary>
    public int ChangeCount { get; private set; }

    /// <summary>Packages that went away: deleted, unpublished or taken down.</summary>
    public int RemovalCount { get; private set; }

    /// <summary>Makes the first packages.</summary>
    public void Begin(int packages)
    {
        for (var i = 0; i < packages; i++)
        {
            Appear(NewName());
        }
    }

    /// <summary>Makes one change.</summary>
    public FakeChange Change()
    {
        lock (_lock)
        {
            return ChangeOne();
        }
    }

    /// <summary>Ends the changes that happen by themselves.</summary>
    public void Dispose() => _timer?.Dispose();

    private void ChangeIfWanted()
    {
        lock (_lock)
        {
            if (ChangesPerSecond == 0)
            {
                // A tick that was under way when it was stopped.
                return;
            }

            try
            {
                ChangeOne();
            }
            catch (InvalidOperationException)
            {
                // Another task took the package away at the same moment.
            }
        }
    }

    private FakeChange ChangeOne()
    {
        ChangeCount++;
        if (_names.Count == 0 || (_names.Count < packagesMax && _random.Next(12) == 0))
        {
            return Appear(NewName());
        }

        var name = _names[_random.Next(_names.Count)];
        if (registry.Database.Find(name) is not { IsDeleted: false } document || document.Parse() is not { } packument || packument["versions"] is not JsonObject { Count: > 0 } versions)
        {
            // It was gone: it comes back.
            return Appear(name);
        }

        return Change(name, [.. versions.Select(version => version.Key)]);
    }

    private FakeChange Change(string name, IReadOnlyList<string> versions)
    {
        var version = versions[_random.Next(versions.Count)];
        return _random.Next(40) switch
        {
            0 => Remove(registry.Delete, name),
            1 => Remove(registry.Unpublish, name),
            2 => Remove(registry.TakeDown, name),
            3 or 4 when versions.Count > 1 => registry.UnpublishVersion(name, version),
            5 => registry.Republish(name, version),
            6 or 7 => registry.SetMaintainers(name, $"user{_random.Next(5)}"),
            8 or 9 => registry.Touch(name),
            10 => registry.RemoveTag(name, "old"),
            < 16 => registry.Tag(name, "old", version),
            < 22 => registry.Deprecate(name, version, _random.Next(3) == 0 ? "" : $"no {_random.Next(100)}"),
            _ when versions.Count >= VersionsMax => registry.UnpublishVersion(name, versions[0]),
            _ => registry.PublishVersion(name, NextVersion()),
        };
    }

    private FakeChange Remove(Func<string, FakeChange> remove, string name)
    {
        RemovalCount++;
        return remove(name);
    }

    private FakeChange Appear(string name) =>
        registry.Publish(new FakePackage(name).Version(NextVersion(), added => added.PublishedAt = registry.Time.GetUtcNow()));

    private string NewName()
    {
        var number = (++_numbers).ToString(CultureInfo.InvariantCulture);
        // Scopes, capitals and signs: the upstream's collation is another than that of bytes.
        var name = (_numbers % 7) switch
        {
            0 => $"@scope{_numbers % 3}/p{number}",
            1 => $"P{number}",
            2 => $"p-{number}",
            3 => $"p_{number}.js",
            _ => $"p{number}",
        };
        _names.Add(name);
        return name;
    }

    // No version is published twice, so that each has one event in a log that lost nothing.
    private string NextVersion() => string.Create(CultureInfo.InvariantCulture, $"1.{_numbers}.{ChangeCount}{(_random.Next(10) == 0 ? "-beta" : "")}");
#pragma warning restore CA5394
}
