using System.Net.Sockets;
using Npgsql;

namespace NpmMirror.Postgres;

/// <summary>Turns the driver's errors into what an operator can act on.</summary>
internal static class PostgresFaults
{
    private const string IdleInTransaction = "25P03";

    /// <summary>Whether the server has undone the whole transaction, and the same once more may do.</summary>
    internal static bool IsUndone(Exception e) => e is LostRaceException or PostgresException { SqlState: PostgresErrorCodes.SerializationFailure or PostgresErrorCodes.DeadlockDetected };

    /// <summary>Whether a connection broke that had been open: it lay in the pool while the server was started anew, say.</summary>
    internal static bool IsBroken(Exception e) => e switch
    {
        PostgresException server => server.SqlState is PostgresErrorCodes.AdminShutdown or PostgresErrorCodes.CrashShutdown or IdleInTransaction,
        NpgsqlException { InnerException: IOException or SocketException } => true,
        _ => false,
    };

    /// <summary>What a failure means.</summary>
    internal static MirrorException Of(Exception e, PostgresAddress address) => e is PostgresException server ? OfServer(server, address) : OfConnection(e, address);

    /// <summary>There is a pooler before the server which this program cannot work through.</summary>
    internal static MirrorException Pooler(PostgresAddress address, string why, Exception? inner = null) => new(
        MirrorFault.Configuration, $"{address.Location} is a pooler that npm-mirror cannot work through ({why}); name the server itself, or a pool by session that passes search_path and options on.", inner: inner);

    private static MirrorException OfServer(PostgresException e, PostgresAddress address)
    {
        var (where, user) = (address.Location, MirrorException.Quote(address.User));
        return e.SqlState switch
        {
            PostgresErrorCodes.InvalidPassword or PostgresErrorCodes.InvalidAuthorizationSpecification => new MirrorException(
                MirrorFault.Configuration, $"{where} does not let the user {user} in ({Said(e)}); correct the user and the password in store.engine or store.options.", inner: e),
            PostgresErrorCodes.ProtocolViolation when e.MessageText.Contains("startup parameter", StringComparison.Ordinal) => Pooler(address, Said(e), e),
            PostgresErrorCodes.InvalidCatalogName => new MirrorException(
                MirrorFault.Configuration, $"{where} has no such database; create it (createdb --encoding=UTF8 {address.Connection.Database}), or name another.", inner: e),
            PostgresErrorCodes.InsufficientPrivilege => new MirrorException(
                MirrorFault.StoreReadOnly, $"{where} does not let the user {user} do this ({Said(e)}); let an administrator grant it the schema {address.Schema} and its tables: what can be read is served meanwhile.", isTransient: true, inner: e),
            PostgresErrorCodes.ReadOnlySqlTransaction => new MirrorException(
                MirrorFault.StoreReadOnly, $"{where} takes no writes: it is a standby, or was set read-only; name the primary: what is stored is served meanwhile.", isTransient: true, inner: e),
            PostgresErrorCodes.DiskFull => new MirrorException(
                MirrorFault.StoreReadOnly, $"The disk of {where} is full; free some space: what is stored is served meanwhile, and writing goes on by itself.", isTransient: true, inner: e),
            PostgresErrorCodes.TooManyConnections => new MirrorException(
                MirrorFault.StoreUnavailable, $"{where} takes no more connections; raise its max_connections, or lower store.options.connections of the nodes.", isTransient: true, inner: e),
            PostgresErrorCodes.CannotConnectNow or PostgresErrorCodes.AdminShutdown or PostgresErrorCodes.CrashShutdown => new MirrorException(
                MirrorFault.StoreUnavailable, $"{where} is starting or stopping; work goes on by itself when it is there again.", isTransient: true, inner: e),
            PostgresErrorCodes.LockNotAvailable or PostgresErrorCodes.QueryCanceled => new MirrorException(
                MirrorFault.StoreUnavailable, $"{where} took too long ({Said(e)}); see what else works in it.", isTransient: true, inner: e),
            PostgresErrorCodes.DataCorrupted or PostgresErrorCodes.IndexCorrupted => new MirrorException(
                MirrorFault.StoreUnavailable, $"{where} is damaged ({Said(e)}); restore a backup.", inner: e),
            PostgresErrorCodes.UndefinedTable or PostgresErrorCodes.UndefinedColumn or PostgresErrorCodes.UndefinedObject or PostgresErrorCodes.InvalidSchemaName => new MirrorException(
                MirrorFault.StoreUnavailable, $"The schema {address.Schema} of {where} is not what npm-mirror made ({Said(e)}); restore a backup, or name another schema.", inner: e),
            [ '5', '4', .. ] => new MirrorException(MirrorFault.TooLarge, $"{where} cannot store a value of this length ({Said(e)}).", inner: e),
            _ => new MirrorException(MirrorFault.StoreUnavailable, $"{where} failed ({Said(e)}).", e.IsTransient, inner: e),
        };
    }

    private static MirrorException OfConnection(Exception e, PostgresAddress address)
    {
        // The driver has no code for these two: it finds them itself.
        if (e.Message.StartsWith("No password has been provided", StringComparison.Ordinal))
        {
            return new MirrorException(MirrorFault.Configuration, $"{address.Location} asks for a password; give it in store.engine or store.options.password, or in PGPASSWORD or PGPASSFILE.", inner: e);
        }

        if (e.Message.StartsWith("SSL connection requested", StringComparison.Ordinal))
        {
            return new MirrorException(MirrorFault.Configuration, $"{address.Location} does not speak TLS, which sslmode asks for; set ssl=on at the server, or give another sslmode.", inner: e);
        }

        var why = e.InnerException is { } inner and (SocketException or TimeoutException or IOException or System.Security.Authentication.AuthenticationException) ? inner.Message : e.Message;
        return new MirrorException(MirrorFault.StoreUnavailable, $"{address.Location} cannot be reached ({why.TrimEnd('.')}); see that the server runs and that its address is right: work goes on by itself when it is there again.", isTransient: true, inner: e);
    }

    private static string Said(PostgresException e) => $"{MirrorException.Quote(e.MessageText)}, {e.SqlState}";
}

/// <summary>Another process has just made the row that a transaction was about to make.</summary>
internal sealed class LostRaceException : Exception;
