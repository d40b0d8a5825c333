"""What happens inside a cell: labelled series, scaler, device data, augmentation, the training loop, boosting."""
