namespace NpmMirror.Options;

/// <summary>How much is logged: by default and for the two categories that are worth a level of their own.</summary>
public sealed class LogOptions
{
    /// <summary>The least level that is logged.</summary>
    public Microsoft.Extensions.Logging.LogLevel Level { get; set; } = Microsoft.Extensions.Logging.LogLevel.Information;

    /// <summary>The level of <c>NpmMirror.Monitor</c>. Null: as <see cref="Level"/>.</summary>
    public Microsoft.Extensions.Logging.LogLevel? Monitor { get; set; }

    /// <summary>The level of <c>NpmMirror.Mirror</c>. Null: as <see cref="Level"/>.</summary>
    public Microsoft.Extensions.Logging.LogLevel? Mirror { get; set; }
}
