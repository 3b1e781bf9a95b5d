import java.io.*;
import java.security.*;
import java.security.cert.Certificate;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.Statement;
import java.util.Date;
import java.util.Enumeration;
import java.util.Properties;

/** Connects with MariaDB Connector/J. usage: java -cp mariadb-java-client.jar Client.java FILE, of the form jdbc */
public class Client {
    public static void main(String[] arguments) throws Exception {
        Security.insertProviderAt(new EmptyPassword(), 1);
        Properties settings = new Properties();
        try (InputStream file = new FileInputStream(arguments[0])) {
            settings.load(file);
        }
        try (Connection connection = DriverManager.getConnection(settings.getProperty("url"), settings);
                Statement statement = connection.createStatement()) {
            ResultSet user = statement.executeQuery("SELECT CURRENT_USER()");
            user.next();
            new PrintStream(System.out, true, "UTF-8").println(user.getString(1));
            ResultSet version = statement.executeQuery("SHOW STATUS LIKE 'Ssl_version'");
            version.next();
            System.out.println(version.getString(2));
        }
    }

    /**
     * Reads key stores whose password is empty, as that of CAS is. Connector/J takes an empty
     * password for none, and Java's own reader then leaves out the certificates.
     */
    static class EmptyPassword extends Provider {
        EmptyPassword() {
            super("EmptyPassword", "1", "PKCS12 without a password");
            put("KeyStore.PKCS12", Store.class.getName());
        }
    }

    public static class Store extends KeyStoreSpi {
        private final KeyStore store;

        public Store() throws GeneralSecurityException {
            store = KeyStore.getInstance("PKCS12", "SunJSSE");
        }

        private static char[] orEmpty(char[] password) {
            return password == null ? new char[0] : password;
        }

        @Override
        public void engineLoad(InputStream in, char[] password) throws IOException {
            try {
                store.load(in, orEmpty(password));
            } catch (GeneralSecurityException e) {
                throw new IOException(e);
            }
        }

        @Override
        public Key engineGetKey(String alias, char[] password) throws UnrecoverableKeyException {
            try {
                return store.getKey(alias, orEmpty(password));
            } catch (KeyStoreException | NoSuchAlgorithmException e) {
                throw new UnrecoverableKeyException(e.getMessage());
            }
        }

        /** What a store that was loaded cannot refuse. */
        private interface Question<T> {
            T ask() throws KeyStoreException;
        }

        private static <T> T answer(Question<T> question) {
            try {
                return question.ask();
            } catch (KeyStoreException e) {
                throw new IllegalStateException(e);
            }
        }

        @Override public Certificate[] engineGetCertificateChain(String alias) { return answer(() -> store.getCertificateChain(alias)); }
        @Override public Certificate engineGetCertificate(String alias) { return answer(() -> store.getCertificate(alias)); }
        @Override public Date engineGetCreationDate(String alias) { return answer(() -> store.getCreationDate(alias)); }
        @Override public Enumeration<String> engineAliases() { return answer(store::aliases); }
        @Override public boolean engineContainsAlias(String alias) { return answer(() -> store.containsAlias(alias)); }
        @Override public int engineSize() { return answer(store::size); }
        @Override public boolean engineIsKeyEntry(String alias) { return answer(() -> store.isKeyEntry(alias)); }
        @Override public boolean engineIsCertificateEntry(String alias) { return answer(() -> store.isCertificateEntry(alias)); }
        @Override public String engineGetCertificateAlias(Certificate of) { return answer(() -> store.getCertificateAlias(of)); }
        // Connector/J also makes an empty store with what it trusts, and puts the server's CA there.
        @Override public void engineSetCertificateEntry(String alias, Certificate c) throws KeyStoreException { store.setCertificateEntry(alias, c); }
        @Override public void engineSetKeyEntry(String alias, Key key, char[] password, Certificate[] chain) throws KeyStoreException { store.setKeyEntry(alias, key, password, chain); }
        @Override public void engineSetKeyEntry(String alias, byte[] key, Certificate[] chain) throws KeyStoreException { store.setKeyEntry(alias, key, chain); }
        @Override public void engineDeleteEntry(String alias) throws KeyStoreException { store.deleteEntry(alias); }
        @Override public void engineStore(OutputStream out, char[] password) throws IOException {
            throw new IOException("this store is not written");
        }
    }
}
