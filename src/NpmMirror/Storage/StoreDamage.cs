namespace NpmMirror.Storage;

/// <summary>A value in a stored row that no program of this version writes: another program, or the disk, changed it.</summary>
/// <param name="Table">The table.</param>
/// <param name="Key">The row's key, as text.</param>
/// <param name="Column">The column.</param>
/// <param name="Value">The value, shortened.</param>
public sealed record StoreDamage(string Table, string Key, string Column, string Value)
{
    /// <summary>The package that the row is about, if its name can be read.</summary>
    public PackageName? Package { get; init; }

    /// <summary>Whether it is not known if and how the package was removed.</summary>
    public bool IsOfRemoval => Table == "packages" && Column is "removal" or "is_removed";

    /// <summary>The problem, in one sentence.</summary>
    public string Problem => $"The row {Key} of the table {Table} has {Value} in its column {Column}, which npm-mirror never writes.";

    /// <summary>The failure for callers that need the row.</summary>
    public MirrorException ToException() => new(MirrorFault.StoreDamaged, $"{Problem} npm-mirror verify --repair fetches the package again, or restore the store from a backup.");
}
