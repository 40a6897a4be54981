package io.egressproxy.autoconfigure;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.egressproxy.testkit.ProxyLab;
import io.netty.handler.ssl.SslContext;
import javax.net.ssl.SSLException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.springframework.boot.ssl.DefaultSslBundleRegistry;
import org.springframework.boot.ssl.NoSuchSslBundleException;
import org.springframework.boot.ssl.SslBundle;
import org.springframework.boot.ssl.SslStoreBundle;

@ExtendWith(ProxyLab.Extension.class)
class SslBundleContextsTests {
    private final SslBundle bundle;

    SslBundleContextsTests(ProxyLab lab) {
        this.bundle =
                SslBundle.of(SslStoreBundle.of(null, null, lab.certificates().trustStore()));
    }

    private static SslBundleContexts contexts(DefaultSslBundleRegistry bundles) {
        return new SslBundleContexts(bundles);
    }

    @Test
    void aContextIsBuiltOnceForEachBundleAndForTheJvmsTrust() throws SSLException {
        SslBundleContexts contexts = contexts(new DefaultSslBundleRegistry("corporate", bundle));
        assertThat(contexts.get("corporate")).isSameAs(contexts.get("corporate"));
        assertThat(contexts.get(null)).isSameAs(contexts.get(null)).isNotSameAs(contexts.get("corporate"));
    }

    @Test
    void aBundleThatIsReloadedTakesEffectWithoutARestart() throws SSLException {
        DefaultSslBundleRegistry bundles = new DefaultSslBundleRegistry("corporate", bundle);
        SslBundleContexts contexts = contexts(bundles);
        SslContext before = contexts.get("corporate");
        bundles.updateBundle("corporate", bundle);
        assertThat(contexts.get("corporate")).isNotSameAs(before);
    }

    @Test
    void aBundleThatDoesNotExistIsNamed() {
        assertThatThrownBy(() -> contexts(new DefaultSslBundleRegistry()).get("nope"))
                .isInstanceOf(NoSuchSslBundleException.class)
                .hasMessageContaining("nope");
    }
}
