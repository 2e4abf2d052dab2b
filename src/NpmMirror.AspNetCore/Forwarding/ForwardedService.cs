using System.Text.Json;
using System.Text.Unicode;
using NpmMirror.Packuments;
using NpmMirror.Upstream;

namespace NpmMirror.AspNetCore.Forwarding;

/// <summary>A service that only the registry has, and the form of its answers.</summary>
/// <param name="Purpose">The purpose of its requests: a busy upstream pauses these only.</param>
/// <param name="ListMember">The member of an answer that is a list; null: every member is one.</param>
internal sealed record ForwardedService(RequestPurpose Purpose, string? ListMember)
{
    internal static readonly ForwardedService Search = new(RequestPurpose.Search, "objects");
    internal static readonly ForwardedService Audit = new(RequestPurpose.Audit, null);
    internal static readonly ForwardedService InstallAudit = new(RequestPurpose.InstallAudit, null);
    internal static readonly ForwardedService Keys = new(RequestPurpose.Keys, "keys");
    internal static readonly ForwardedService Attestations = new(RequestPurpose.Attestations, "attestations");

    /// <summary>Whether a body is JSON at all, as an error's should be.</summary>
    internal static bool IsJson(ReadOnlySpan<byte> body) => Check(body, isAnswer: false, null);

    /// <summary>
    /// Whether a body is an answer of this service. A gateway's <c>{"message":"try later"}</c> with status 200 is not: as an audit it would say that
    /// a package called "message" is vulnerable, or crash the client.
    /// </summary>
    internal bool IsAnswer(ReadOnlySpan<byte> body) => Check(body, isAnswer: true, ListMember);

    private static bool Check(ReadOnlySpan<byte> body, bool isAnswer, string? listMember)
    {
        if (!Utf8.IsValid(body))
        {
            return false;
        }

        var reader = new Utf8JsonReader(body, JsonText.ReaderOptions);
        try
        {
            var isRight = !isAnswer || (reader.Read() && IsAnswer(ref reader, listMember));
            while (reader.Read())
            {
                // To the end: the rest must be JSON too, and nothing may follow the value.
            }

            return isRight;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static bool IsAnswer(ref Utf8JsonReader reader, string? listMember)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            return false;
        }

        var isFound = listMember is null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isNamed = listMember is null || reader.ValueTextEquals(listMember);
            reader.Read();
            if (isNamed && reader.TokenType != JsonTokenType.StartArray)
            {
                return false;
            }

            isFound |= isNamed;
            reader.Skip();
        }

        return isFound;
    }
}
