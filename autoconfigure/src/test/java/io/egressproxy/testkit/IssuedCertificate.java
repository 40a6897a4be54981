package io.egressproxy.testkit;

import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;

/**
 * A server certificate with its key, as files for programs and as objects for Java.
 *
 * @param certificateFile the certificate, PEM
 * @param keyFile the unencrypted PKCS#8 key, PEM
 * @param bundleFile both in one file, as haproxy wants them
 */
public record IssuedCertificate(Path certificateFile, Path keyFile, Path bundleFile) {

    /** The password of {@link #keyStore()}; protects nothing. */
    public static final String STORE_PASSWORD = "changeit";

    public String certificatePem() {
        return read(certificateFile);
    }

    public String keyPem() {
        return read(keyFile);
    }

    /** A Netty context for a server with this certificate. */
    public SslContext nettyServerContext() {
        try {
            return SslContextBuilder.forServer(certificateFile.toFile(), keyFile.toFile())
                    .build();
        } catch (SSLException e) {
            throw new IllegalStateException("Cannot use " + certificateFile, e);
        }
    }

    /** A PKCS#12 key store with this certificate and its key. */
    public KeyStore keyStore() {
        try {
            String base64 = keyPem().replaceAll("-----[A-Z ]+-----", "").replaceAll("\\s", "");
            PrivateKey key = KeyFactory.getInstance("EC")
                    .generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(base64)));
            KeyStore store = KeyStore.getInstance("PKCS12");
            store.load(null, null);
            store.setKeyEntry("server", key, STORE_PASSWORD.toCharArray(), new Certificate[] {
                TestCertificates.parse(certificateFile)
            });
            return store;
        } catch (GeneralSecurityException | IOException e) {
            throw new IllegalStateException("Cannot use " + certificateFile, e);
        }
    }

    /** A JDK context for a server with this certificate. */
    public SSLContext jdkServerContext() {
        try {
            KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
            keys.init(keyStore(), STORE_PASSWORD.toCharArray());
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(keys.getKeyManagers(), null, null);
            return context;
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("Cannot use " + certificateFile, e);
        }
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
