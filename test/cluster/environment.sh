# Writes .lab/env, which a shell sources, and .lab/bin and .lab/helm, which it
# points to. Source it after lib.sh; $bin holds kubectl and helm.
# shellcheck shell=bash

# write_environment KUBECONFIG
write_environment() {
	local plugin=$lab/helm/plugins/scone file
	mkdir -p "$lab/bin" "$plugin/bin" "$lab"/helm/{cache,config,data}
	ln -sf "$bin/kubectl" "$bin/helm" "$root/bin/kubectl-confidb" "$root/bin/confidb-lab" "$lab/bin/"
	for file in "$root"/helm-plugin/*; do
		[ ! -e "$file" ] || ln -sfn "$file" "$plugin/"
	done
	[ -L "$plugin/bin" ] || ln -sf "$root/bin/helm-scone" "$plugin/bin/"
	cat >"$lab/env.part" <<-END
		# Source this file to use the lab: . .lab/env
		export KUBECONFIG='$1'
		export PATH='$lab/bin':"\$PATH"
		export HELM_PLUGINS='$lab/helm/plugins'
		export HELM_CACHE_HOME='$lab/helm/cache'
		export HELM_CONFIG_HOME='$lab/helm/config'
		export HELM_DATA_HOME='$lab/helm/data'
		export CONFIDB_HOME='$lab/home'
		export CONFIDB_LAB_FLAGS='--policy $lab/policy.yaml --collateral $lab/sgx --sgx-root-ca $lab/sgx/trustedRootCaCert.pem --bootstrap-sql $lab/images/bootstrap.sql --values $lab/values.yaml'
		export LAB_TOKENIZER_MRENCLAVE='$(awk '$1 == "tokenizer" { print $2 }' "$lab/images/applications")'
	END
	mv "$lab/env.part" "$lab/env"
}
