namespace NpmMirror;

/// <summary>
/// A place in this mirror's own log: dense, ascending, from 1. A reader that has seen position N never later finds a row ≤ N.
/// </summary>
public readonly record struct LogPosition(long Value) : IComparable<LogPosition>
{
    /// <summary>Before the first row.</summary>
    public static LogPosition Zero { get; }

    /// <inheritdoc/>
    public int CompareTo(LogPosition other) => Value.CompareTo(other.Value);

    /// <inheritdoc/>
    public override string ToString() => Value.ToString(System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>Earlier in the log.</summary>
    public static bool operator <(LogPosition left, LogPosition right) => left.Value < right.Value;

    /// <summary>Later in the log.</summary>
    public static bool operator >(LogPosition left, LogPosition right) => left.Value > right.Value;

    /// <summary>Earlier or the same.</summary>
    public static bool operator <=(LogPosition left, LogPosition right) => left.Value <= right.Value;

    /// <summary>Later or the same.</summary>
    public static bool operator >=(LogPosition left, LogPosition right) => left.Value >= right.Value;
}
