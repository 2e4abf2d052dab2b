using System.Collections.Concurrent;
using NpmMirror.Storage;

namespace NpmMirror.Syncing;

/// <summary>
/// Names that the upstream itself said it does not have, for a short while and in memory only. Trouble is never remembered as absence.
/// </summary>
internal sealed class NegativeAnswers
{
    private const int NamesMax = 100_000;

    private readonly ConcurrentDictionary<PackageName, (int Status, string Reason, long Until)> _names = new();
    private readonly TimeSpan _lifetime;
    private readonly TimeProvider _time;

    internal NegativeAnswers(PackageNews news, TimeSpan lifetime, TimeProvider time)
    {
        (_lifetime, _time) = (lifetime, time);
        news.Changed += Forget;
        news.Named += Forget;
    }

    public (int Status, string Reason)? Find(PackageName name)
    {
        if (!_names.TryGetValue(name, out var known))
        {
            return null;
        }

        if (_time.GetTimestamp() < known.Until)
        {
            return (known.Status, known.Reason);
        }

        _names.TryRemove(name, out _);
        return null;
    }

    public void Add(PackageName name, int status, string reason)
    {
        if (_names.Count >= NamesMax)
        {
            // A crowd of made-up names; forgetting them only costs questions.
            _names.Clear();
        }

        _names[name] = (status, reason, _time.GetTimestamp() + (long)(_lifetime.TotalSeconds * _time.TimestampFrequency));
    }

    public void Forget(PackageName name) => _names.TryRemove(name, out _);
}
