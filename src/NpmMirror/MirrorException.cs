namespace NpmMirror;

/// <summary>The kind of failure, as far as a caller acts on it.</summary>
public enum MirrorFault
{
    /// <summary>A user or client passed an unusable value.</summary>
    BadInput,

    /// <summary>An option is wrong.</summary>
    Configuration,

    /// <summary>The upstream could not be reached, timed out or answered with a server error.</summary>
    UpstreamUnavailable,

    /// <summary>The upstream asks for fewer requests (429).</summary>
    UpstreamBusy,

    /// <summary>The upstream refuses (401, 403) these credentials, or the request itself.</summary>
    UpstreamRefused,

    /// <summary>The upstream's answer breaks the protocol: not JSON, another name, a wrong hash.</summary>
    UpstreamMalformed,

    /// <summary>A document or file is over the configured limit.</summary>
    TooLarge,

    /// <summary>A source of tarballs that the configuration does not allow.</summary>
    ForbiddenSource,

    /// <summary>The store is closed, locked, damaged or unreachable.</summary>
    StoreUnavailable,

    /// <summary>The disk is full or the folder is read-only: reads go on, writes do not.</summary>
    StoreReadOnly,

    /// <summary>The store was written by a newer program.</summary>
    StoreSchema,

    /// <summary>A stored document or index does not match its hash. Fetching the package again mends it.</summary>
    StoreDamaged,
}

/// <summary>A failure of the world, not of the program. It answers two questions: would another try help, and when.</summary>
public sealed class MirrorException : Exception
{
    /// <summary>Creates the failure.</summary>
    /// <param name="fault">The kind of failure.</param>
    /// <param name="message">The problem, its subject, and what to do: one sentence that an operator can act on; no secrets.</param>
    /// <param name="isTransient">Whether the same call may succeed later.</param>
    /// <param name="retryAfter">The wait that the other side asked for.</param>
    /// <param name="inner">The cause.</param>
    public MirrorException(MirrorFault fault, string message, bool isTransient = false, TimeSpan? retryAfter = null, Exception? inner = null)
        : base(message, inner)
    {
        Fault = fault;
        IsTransient = isTransient;
        RetryAfter = retryAfter;
    }

    /// <summary>The kind of failure.</summary>
    public MirrorFault Fault { get; }

    /// <summary>True when the same call may succeed later without anyone doing anything.</summary>
    public bool IsTransient { get; }

    /// <summary>How long the other side asked to wait; null when it did not say.</summary>
    public TimeSpan? RetryAfter { get; }

    /// <summary>
    /// The status of an upstream that refuses the request, and will the next time (402, 403, 423, any 4xx that is neither absence nor about this
    /// mirror's credentials nor temporary): an answer for the client. Null for every other failure.
    /// </summary>
    public int? RefusedStatus { get; init; }

    /// <summary>Text from outside, shortened and as plain text on one line, for messages and logs.</summary>
    public static string Quote(string? text)
    {
        if (text is null)
        {
            return "(nothing)";
        }

        var shortened = text.Length > 200 ? string.Concat(text.AsSpan(0, 200), "…") : text;
        return $"“{PlainText.Of(shortened)}”";
    }
}
