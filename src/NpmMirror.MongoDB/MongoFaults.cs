using System.Security.Authentication;
using MongoDB.Bson;
using MongoDB.Driver;

namespace NpmMirror.MongoDB;

/// <summary>Turns the driver's errors into sentences for an operator.</summary>
internal static class MongoFaults
{
    private const int Unauthorized = 13;
    private const int AuthenticationFailed = 18;
    private const int DuplicateKey = 11000;
    private const int OutOfDiskSpace = 14031;
    private const int TooLarge = 17419;

    // No primary now, or one that is going down: 91 and 189 of shutdowns, 10107 and 13435 of members that are no primary.
    private static readonly int[] NotPrimary = [91, 189, 10107, 10058, 11600, 11602, 13435, 13436];

    /// <summary>Whether the driver or the server failed, and not the program.</summary>
    internal static bool IsFault(Exception e) => e is MongoException or TimeoutException or IOException or AuthenticationException or FormatException or BsonException;

    /// <summary>Whether a document with this key is there already.</summary>
    internal static bool IsDuplicate(Exception e) => e switch
    {
        MongoBulkWriteException<BsonDocument> bulk => bulk.WriteConcernError is null && bulk.WriteErrors.Count > 0 && bulk.WriteErrors.All(error => error.Code == DuplicateKey),
        _ => CodeOf(e) == DuplicateKey,
    };

    /// <summary>The failure in plain words.</summary>
    internal static MirrorException Of(Exception e, MongoAddress address)
    {
        var location = address.Location;
        var text = e.ToString();
        return e switch
        {
            _ when IsOfCertificate(text) =>
                new MirrorException(MirrorFault.Configuration, $"{location} shows a certificate that is not believed: of an unknown authority, of another host, or expired; name the certificate of its authority with ca.", inner: e),
            _ when e is MongoAuthenticationException || CodeOf(e) == AuthenticationFailed || Says(text, "MongoAuthenticationException", "AuthenticationFailed") =>
                new MirrorException(MirrorFault.Configuration, $"{location} refuses this user and password; give the right ones in the location (mongodb://user:password@host/database, with authSource where the user is another database's) or with store.options.user and store.options.password.", inner: e),
            _ when CodeOf(e) == Unauthorized && !address.HasCredentials =>
                new MirrorException(MirrorFault.Configuration, $"{location} asks for a user and a password; give them in the location (mongodb://user:password@host/database) or with store.options.user and store.options.password.", inner: e),
            _ when CodeOf(e) == Unauthorized =>
                new MirrorException(MirrorFault.Configuration, $"The user at {location} lacks rights that a mirror needs ({Shown(e)}); give it the role readWrite on that database.", inner: e),
            _ when CodeOf(e) == OutOfDiskSpace || Says(text, "No space left", "OutOfDiskSpace") =>
                new MirrorException(MirrorFault.StoreReadOnly, $"{location} has no room on its disk and takes no more writes; free some: stored packages are served meanwhile, and writing goes on by itself.", isTransient: true, inner: e),
            MongoNotPrimaryException or MongoNodeIsRecoveringException => IsNoPrimary(location, e),
            _ when NotPrimary.Contains(CodeOf(e)) => IsNoPrimary(location, e),
            MongoWriteConcernException =>
                new MirrorException(MirrorFault.StoreUnavailable, $"{location} wrote, but too few of its members have it in time ({Shown(e)}); start the members that are away.", isTransient: true, inner: e),
            _ when CodeOf(e) == TooLarge || IsOfSize(e) =>
                new MirrorException(MirrorFault.TooLarge, $"A value is too long for one document of MongoDB, which takes 16 MB; {location} is unchanged.", inner: e),
            FormatException or BsonException =>
                new MirrorException(MirrorFault.StoreDamaged, $"{location} has a document that cannot be read ({MirrorException.Quote(e.Message)}); another program wrote it: restore the store from a backup.", inner: e),
            MongoConfigurationException =>
                new MirrorException(MirrorFault.Configuration, $"The settings of the store engine MongoDB do not go together ({MirrorException.Quote(e.Message)}).", inner: e),
            MongoConnectionPoolPausedException or MongoConnectionException or IOException or TimeoutException =>
                new MirrorException(MirrorFault.StoreUnavailable, $"{location} cannot be reached, or did not answer in time; see that the server runs, that host and port are right and that nothing between is closed.", isTransient: true, inner: e),
            _ => new MirrorException(MirrorFault.StoreUnavailable, $"{location} failed ({Shown(e)}); see the server's log.", isTransient: true, inner: e),
        };
    }

    private static MirrorException IsNoPrimary(string location, Exception e) =>
        new(MirrorFault.StoreReadOnly, $"{location} has no primary now, and only a primary takes writes; wait until its members have chosen one: writing goes on by itself.", isTransient: true, inner: e);

    private static int CodeOf(Exception e) => e switch
    {
        MongoWriteException write => write.WriteError?.Code ?? write.WriteConcernError?.Code ?? 0,
        MongoBulkWriteException<BsonDocument> bulk => bulk.WriteErrors.Count > 0 ? bulk.WriteErrors[0].Code : bulk.WriteConcernError?.Code ?? 0,
        MongoCommandException command => command.Code,
        _ => 0,
    };

    // The driver looks at the length before the server does.
    private static bool IsOfSize(Exception e) => e is FormatException && Says(e.Message, "MaxDocumentSize", "maxDocumentSize") || e is BsonSerializationException && Says(e.Message, "size");

    private static bool IsOfCertificate(string text) => Says(text, "remote certificate", "RemoteCertificate");

    // The server's own words.
    private static string Shown(Exception e) => MirrorException.Quote(e switch
    {
        MongoWriteException { WriteError: { } error } => error.Message,
        MongoBulkWriteException<BsonDocument> { WriteErrors: [var first, ..] } => first.Message,
        _ => e.Message,
    });

    private static bool Says(string text, params ReadOnlySpan<string> words)
    {
        foreach (var word in words)
        {
            if (text.Contains(word, StringComparison.Ordinal))
            {
                return true;
            }
        }

        return false;
    }
}
