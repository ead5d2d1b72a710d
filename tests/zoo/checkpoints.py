"""Tiny random checkpoints, saved as transformers saves them."""

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}


def bert(classes=3, cls="BertForSequenceClassification"):
    import transformers

    return getattr(transformers, cls)(transformers.BertConfig(vocab_size=256, num_labels=classes, **SMALL))


def vit(classes=10, channels=1, size=8):
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(image_size=size, patch_size=2, num_channels=channels, num_labels=classes, **SMALL)
    return ViTForImageClassification(config)


def resnet(classes=10, channels=1, **changes):
    from transformers import ResNetConfig, ResNetForImageClassification

    config = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 2], "layer_type": "basic", **changes}
    return ResNetForImageClassification(ResNetConfig(num_channels=channels, num_labels=classes, **config))


def gpt2(**changes):
    from transformers import GPT2Config, GPT2LMHeadModel

    config = {
        "n_embd": 16,
        "n_layer": 2,
        "n_head": 2,
        "n_positions": 32,
        "bos_token_id": 0,
        "eos_token_id": 0,
        **changes,
    }
    return GPT2LMHeadModel(GPT2Config(vocab_size=256, **config))


def llama(**changes):
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(vocab_size=256, num_key_value_heads=1, **SMALL, **changes))


def t5():
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(vocab_size=256, d_model=16, d_kv=8, d_ff=24, num_layers=1, num_heads=2, decoder_start_token_id=0)
    return T5ForConditionalGeneration(config)


def saved(model, folder, **options):
    """Save with weights large enough to matter, and return the folder as text."""
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape)
    model.eval().save_pretrained(folder, **options)
    return str(folder)
