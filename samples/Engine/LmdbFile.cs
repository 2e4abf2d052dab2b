using LightningDB;
using NpmMirror;
using NpmMirror.Storage;

namespace Engine;

/// <summary>
/// One open LMDB environment. A process may open it once only: closing it a second time would drop the locks of the first. So all stores of this process on one
/// folder share it, and the last one closes it. Other processes open the same folder for themselves.
/// </summary>
internal sealed class LmdbFile : IDisposable
{
    private const long Schema = 1;
    private const int Readers = 1024;
    private static readonly byte[] SchemaKey = "schema"u8.ToArray();
    private static readonly Dictionary<string, LmdbFile> Opened = [];
    private static readonly Lock OpenedLock = new();
    private readonly string _folder;
    private readonly LightningEnvironment _environment;
    private readonly LightningDatabase[] _tables;

    // Held for reading by every transaction, for writing by one who moves the map or closes: LMDB allows neither while a transaction of this process is open.
    private readonly ReaderWriterLockSlim _map = new();
    private int _users;
    private bool _isClosed;

    private LmdbFile(string folder, long mapBytes)
    {
        _folder = folder;
        _environment = new LightningEnvironment(folder, new EnvironmentConfiguration { MapSize = mapBytes, MaxDatabases = Enum.GetValues<Table>().Length, MaxReaders = Readers });
        try
        {
            // Readers belong to transactions, not to threads, which are of a pool here.
            _environment.Open(EnvironmentOpenFlags.NoThreadLocalStorage);
            _environment.CheckStaleReaders();
            using var transaction = _environment.BeginTransaction();
            _tables = [.. Enum.GetNames<Table>().Select(name => transaction.OpenDatabase(name, new DatabaseConfiguration { Flags = DatabaseOpenFlags.Create }))];
            var tables = new LmdbTransaction(transaction, _tables);
            if (tables.Find(Table.Meta, SchemaKey) is null)
            {
                tables.Put(Table.Meta, SchemaKey, System.Text.Encoding.UTF8.GetBytes($"{Schema}"));
            }

            if (SchemaOf(tables) is var schema and > Schema)
            {
                throw new MirrorException(MirrorFault.StoreSchema, $"{folder} has schema version {schema}, and this engine knows version {Schema}; run the newer engine that wrote it, or restore a backup of before.");
            }

            transaction.Commit().ThrowOnError();
        }
        catch
        {
            _environment.Dispose();
            throw;
        }

        Writer = new LmdbWriter(this);
    }

    internal LmdbWriter Writer { get; }

    internal static LmdbFile Open(string folder, long mapBytes)
    {
        lock (OpenedLock)
        {
            if (!Opened.TryGetValue(folder, out var file))
            {
                try
                {
                    Directory.CreateDirectory(folder);
                    LmdbLibrary.Load();
                    Opened[folder] = file = new LmdbFile(folder, mapBytes);
                }
                catch (Exception e) when (e is LightningException or IOException or UnauthorizedAccessException or DllNotFoundException)
                {
                    throw LmdbFaults.OfOpen(e, folder);
                }
            }

            file._users++;
            return file;
        }
    }

    public void Dispose()
    {
        lock (OpenedLock)
        {
            if (--_users > 0)
            {
                return;
            }

            Opened.Remove(_folder);
            Writer.Dispose();
            _map.EnterWriteLock();
            _isClosed = true;
            _environment.Dispose();
            _map.ExitWriteLock();
        }
    }

    /// <summary>Reads what one moment holds.</summary>
    internal T Read<T>(Func<LmdbTransaction, T> read) => Run(TransactionBeginFlags.ReadOnly, transaction => read(new LmdbTransaction(transaction, _tables)));

    /// <summary>Writes, each job in a transaction of its own inside the one that is synced.</summary>
    internal void Write(IEnumerable<WriteJob> jobs) => Run(
        TransactionBeginFlags.None,
        transaction =>
        {
            // Asked each time: a newer program may have changed the file since it was opened.
            if (SchemaOf(new LmdbTransaction(transaction, _tables)) is var schema and > Schema)
            {
                throw SchemaMoved.ToException(_folder, schema, Schema);
            }

            foreach (var job in jobs)
            {
                using var inner = transaction.BeginTransaction();
                if (job.TryRun(new LmdbTransaction(inner, _tables), _folder))
                {
                    inner.Commit().ThrowOnError();
                }
            }

            return transaction.Commit().ThrowOnError();
        });

    private T Run<T>(TransactionBeginFlags flags, Func<LightningTransaction, T> work)
    {
        for (var isAgain = false; ; isAgain = true)
        {
            MDBResultCode code;
            _map.EnterReadLock();
            try
            {
                ObjectDisposedException.ThrowIf(_isClosed, typeof(LmdbStore));
                using var transaction = _environment.BeginTransaction(flags);
                return work(transaction);
            }
            catch (LightningException e) when (!isAgain && (MDBResultCode)e.StatusCode is MDBResultCode.MapResized or MDBResultCode.ReadersFull)
            {
                code = (MDBResultCode)e.StatusCode;
            }
            catch (LightningException e)
            {
                throw LmdbFaults.Of(e, _folder);
            }
            finally
            {
                _map.ExitReadLock();
            }

            Mend(code);
        }
    }

    private void Mend(MDBResultCode code)
    {
        _map.EnterWriteLock();
        try
        {
            if (code == MDBResultCode.MapResized)
            {
                // Another process has a larger map and wrote there. 0 takes over its size.
                _environment.MapSize = 0;
            }
            else
            {
                // Places of processes that died while they read.
                _environment.CheckStaleReaders();
            }
        }
        finally
        {
            _map.ExitWriteLock();
        }
    }

    private static long SchemaOf(LmdbTransaction transaction) => long.Parse(System.Text.Encoding.UTF8.GetString(transaction.Find(Table.Meta, SchemaKey)!), System.Globalization.CultureInfo.InvariantCulture);
}
