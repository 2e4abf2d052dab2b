using System.Diagnostics.Metrics;
using NpmMirror.Storage;

namespace NpmMirror.Syncing;

/// <summary>
/// Names that the upstream itself said it does not have, for a short while and in memory only. Trouble is never remembered as absence.
/// </summary>
internal sealed class NegativeAnswers
{
    // Many made-up names push out older ones, which only costs requests.
    private const int NamesMin = 50_000;

    private readonly BoundedCache<PackageName, (int Status, string Reason, long Until)> _names = new("absent packages", NamesMin);
    private readonly TimeSpan _lifetime;
    private readonly TimeProvider _time;

    internal NegativeAnswers(PackageNews news, TimeSpan lifetime, TimeProvider time, Meter? meter)
    {
        (_lifetime, _time) = (lifetime, time);
        _names.MeasureIn(meter);
        news.Changed += (name, _) => Forget(name);
        news.Named += Forget;
    }

    public (int Status, string Reason)? Find(PackageName name)
    {
        if (!_names.TryGet(name, out var known))
        {
            return null;
        }

        if (_time.GetTimestamp() < known.Until)
        {
            return (known.Status, known.Reason);
        }

        _names.Remove(name);
        return null;
    }

    public void Add(PackageName name, int status, string reason) =>
        _names.Set(name, (status, reason, _time.GetTimestamp() + (long)(_lifetime.TotalSeconds * _time.TimestampFrequency)));

    public void Forget(PackageName name) => _names.Remove(name);
}
