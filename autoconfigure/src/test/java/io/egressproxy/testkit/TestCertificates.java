package io.egressproxy.testkit;

import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.TrustManagerFactory;

/**
 * A private certificate authority with one good server certificate and the usual bad ones. They are made anew for every
 * run, by openssl, because certificates kept in a repository expire.
 */
public final class TestCertificates {

    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("yyyyMMddHHmmss'Z'").withZone(ZoneOffset.UTC);
    private static final String SERVER = "serverAuth";
    private static final String OWN_NAMES =
            "DNS:localhost,DNS:" + ProxyLab.PROXY_ONLY_NAME + ",IP:127.0.0.1,IP:0:0:0:0:0:0:0:1";

    private final Path directory;
    private final String openssl = Programs.require("openssl", "openssl").toString();
    private final IssuedCertificate server;
    private final IssuedCertificate expired;
    private final IssuedCertificate wrongHost;
    private final IssuedCertificate untrusted;
    private final IssuedCertificate client;

    private TestCertificates(Path directory) throws IOException {
        this.directory = SharedDirectories.create(directory);
        Instant now = Instant.now();
        Instant yesterday = now.minus(Duration.ofDays(1));
        Instant nextMonth = now.plus(Duration.ofDays(30));
        createAuthority("ca");
        createAuthority("other-ca");
        this.server = issue("ca", "server", SERVER, OWN_NAMES, yesterday, nextMonth);
        this.expired = issue("ca", "expired", SERVER, OWN_NAMES, now.minus(Duration.ofDays(30)), yesterday);
        this.wrongHost = issue("ca", "wrong-host", SERVER, "DNS:somebody-else.test", yesterday, nextMonth);
        this.untrusted = issue("other-ca", "untrusted", SERVER, OWN_NAMES, yesterday, nextMonth);
        this.client = issue("ca", "client", "clientAuth", "DNS:client.test", yesterday, nextMonth);
    }

    /** Makes the certificates as files in the directory. */
    public static TestCertificates create(Path directory) {
        try {
            return new TestCertificates(directory);
        } catch (IOException e) {
            throw new UncheckedIOException("Cannot make certificates", e);
        }
    }

    /** The certificate of the authority to trust, PEM. */
    public Path authorityFile() {
        return directory.resolve("ca.pem");
    }

    public String authorityPem() {
        try {
            return Files.readString(authorityFile());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public X509Certificate authority() {
        return parse(authorityFile());
    }

    /** A good certificate for 127.0.0.1, ::1, localhost and the name only the proxies know. */
    public IssuedCertificate server() {
        return server;
    }

    /** Like {@link #server()}, but since yesterday no longer valid. */
    public IssuedCertificate expired() {
        return expired;
    }

    /** A certificate of the trusted authority for another host. */
    public IssuedCertificate wrongHost() {
        return wrongHost;
    }

    /** Like {@link #server()}, but of an authority that nobody trusts. */
    public IssuedCertificate untrusted() {
        return untrusted;
    }

    /** A certificate of the trusted authority for a client. */
    public IssuedCertificate client() {
        return client;
    }

    /** The certificate of the authority that nobody trusts, PEM. */
    public Path otherAuthorityFile() {
        return directory.resolve("other-ca.pem");
    }

    /** A PKCS#12 store that trusts the authority, and nobody else. */
    public KeyStore trustStore() {
        try {
            KeyStore store = KeyStore.getInstance("PKCS12");
            store.load(null, null);
            store.setCertificateEntry("ca", authority());
            return store;
        } catch (GeneralSecurityException | IOException e) {
            throw new IllegalStateException("Cannot make a trust store", e);
        }
    }

    /** A Netty context for clients that trust the authority; HTTP/1.1 only, for it offers no protocols by ALPN. */
    public SslContext nettyClientContext() {
        try {
            return SslContextBuilder.forClient().trustManager(authority()).build();
        } catch (SSLException e) {
            throw new IllegalStateException("Cannot make a TLS context", e);
        }
    }

    /** A JDK context for clients that trust the authority. */
    public SSLContext jdkClientContext() {
        try {
            TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
            trust.init(trustStore());
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(null, trust.getTrustManagers(), null);
            return context;
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("Cannot make a TLS context", e);
        }
    }

    static X509Certificate parse(Path file) {
        try (InputStream in = Files.newInputStream(file)) {
            return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in);
        } catch (IOException | CertificateException e) {
            throw new IllegalStateException("Cannot read " + file, e);
        }
    }

    private void createAuthority(String name) throws IOException {
        Files.createDirectories(directory.resolve(name));
        Files.writeString(directory.resolve(name).resolve("index"), "");
        Files.writeString(
                directory.resolve(name + ".cnf"),
                """
                [ca]
                default_ca = own
                [own]
                database = %1$s/index
                new_certs_dir = %1$s
                certificate = %1$s.pem
                private_key = %1$s.key
                rand_serial = yes
                unique_subject = no
                default_md = sha256
                policy = any
                copy_extensions = copy
                [any]
                commonName = supplied
                """
                        .formatted(directory.resolve(name)));
        List<String> command = newKey(name);
        command.addAll(List.of("-x509", "-days", "30", "-out", file(name + ".pem"), "-subj", "/CN=Test kit " + name));
        command.addAll(List.of("-addext", "keyUsage=critical,keyCertSign,cRLSign"));
        Programs.run(command);
    }

    /** Signs with {@code openssl ca}, the only command of OpenSSL 3.0 that takes a start and an end in the past. */
    private IssuedCertificate issue(
            String authority, String name, String usage, String alternativeNames, Instant from, Instant to)
            throws IOException {
        List<String> request = newKey(name);
        request.addAll(List.of("-out", file(name + ".csr"), "-subj", "/CN=" + name));
        request.addAll(List.of("-addext", "subjectAltName=" + alternativeNames));
        request.addAll(List.of("-addext", "extendedKeyUsage=" + usage));
        Programs.run(request);
        List<String> signing = new ArrayList<>(List.of(openssl, "ca", "-batch", "-notext"));
        signing.addAll(List.of("-config", file(authority + ".cnf"), "-in", file(name + ".csr")));
        signing.addAll(List.of("-out", file(name + ".pem")));
        signing.addAll(List.of("-startdate", TIME.format(from), "-enddate", TIME.format(to)));
        Programs.run(signing);
        Path key = directory.resolve(name + ".key");
        Path certificate = directory.resolve(name + ".pem");
        Path bundle = directory.resolve(name + ".bundle.pem");
        Files.writeString(bundle, Files.readString(certificate) + Files.readString(key));
        for (Path file : List.of(key, certificate, bundle)) {
            Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r--r--"));
        }
        return new IssuedCertificate(certificate, key, bundle);
    }

    private List<String> newKey(String name) {
        return new ArrayList<>(List.of(
                openssl,
                "req",
                "-new",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-keyout",
                file(name + ".key")));
    }

    private String file(String name) {
        return directory.resolve(name).toString();
    }
}
